/* Loaded with what lua5.4 is preloaded with (tools/test asan): the programs that it starts are not. */
#include <stdlib.h>

__attribute__((constructor)) static void forget_preload(void) {
  unsetenv("LD_PRELOAD");
}
