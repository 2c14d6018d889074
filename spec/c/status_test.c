/* Every status has a name of its own, which scripts compare with, and a text for people. */
#include <errno.h>
#include <string.h>

#include "check.h"
#include "status.h"

#define ONE(symbol, value, name, text) symbol,
static const edr_status all[] = {EDR_STATUS_LIST(ONE)};
#undef ONE
#define COUNT (sizeof all / sizeof *all)

static void test_names(void) {
  for (size_t i = 0; i < COUNT; i++) {
    const char *name = edr_status_name(all[i]), *text = edr_status_text(all[i]);
    CHECK(name[0] != '\0' && strspn(name, "abcdefghijklmnopqrstuvwxyz_") == strlen(name));
    CHECK(strcmp(name, "unknown") != 0);
    CHECK(text[0] != '\0' && text[strlen(text) - 1] != '.');
    CHECK(strcmp(text, "unknown status") != 0);
    CHECK(i == 0 ? all[i] == EDR_OK : all[i] < 0);
    for (size_t j = 0; j < i; j++) {
      CHECK(all[i] != all[j]);
      CHECK(strcmp(name, edr_status_name(all[j])) != 0);
      CHECK(strcmp(text, edr_status_text(all[j])) != 0);
    }
  }
}

static void test_unknown(void) {
  CHECK(strcmp(edr_status_name((edr_status)-1000), "unknown") == 0);
  CHECK(strcmp(edr_status_text((edr_status)-1000), "unknown status") == 0);
}

/* Scripts rely on these: they may not change. */
static void test_stable(void) {
  CHECK(strcmp(edr_status_name(EDR_ETIMEOUT), "timeout") == 0);
  CHECK(strcmp(edr_status_name(EDR_EAUTH), "auth") == 0);
  CHECK(strcmp(edr_status_name(EDR_ENODEDOWN), "nodedown") == 0);
  CHECK(strcmp(edr_status_name(EDR_EPROTOCOL), "protocol") == 0);
  CHECK(strcmp(edr_status_name(EDR_ENOTSUP), "not_supported") == 0);
}

static void test_error_set(void) {
  char longer[2 * sizeof((edr_error *)0)->text];
  edr_error error;

  CHECK(edr_error_set(&error, EDR_EREFUSED, ECONNREFUSED, "%s port %d", "web1", 4369) == EDR_EREFUSED);
  CHECK(error.code == EDR_EREFUSED && error.sys_errno == ECONNREFUSED);
  CHECK(strcmp(error.text, "web1 port 4369") == 0);
  CHECK(edr_error_set(NULL, EDR_ETIMEOUT, 0, "%s", "nobody listens") == EDR_ETIMEOUT);
  memset(longer, 'x', sizeof longer - 1);
  longer[sizeof longer - 1] = '\0';
  CHECK(edr_error_set(&error, EDR_ESYSTEM, 0, "%s", longer) == EDR_ESYSTEM);
  CHECK(strlen(error.text) == sizeof error.text - 1);
}

int main(void) {
  test_names();
  test_unknown();
  test_stable();
  test_error_set();
  return check_done();
}
