/* Makes each allocation of a program fail in turn. malloc and its like are replaced at link time (--wrap, see
 * CMakeLists.txt), for the core and for erl_interface, which are linked statically; and so is what libc allocates for
 * the core by other names: what a host's name is looked up with, and a thread. One program includes this once. */
#ifndef EDR_EXHAUST_H
#define EDR_EXHAUST_H

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "check.h"
#include "status.h"

/* Of this thread alone: the peer's memory never runs out, nor that of our ticker. */
static _Thread_local long until_failure; /* 0: nothing fails */
static _Thread_local bool failed;
static _Thread_local long live; /* blocks, and threads that nobody has joined */
static long failures;
static void (*witness)(void); /* called for each allocation, if any */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *memory);
char *__real_strdup(const char *text);
int __real_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **out_list);
void __real_freeaddrinfo(struct addrinfo *list);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument);
int __real_pthread_join(pthread_t thread, void **result);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void __wrap_free(void *memory);
char *__wrap_strdup(const char *text);
int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **out_list);
void __wrap_freeaddrinfo(struct addrinfo *list);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument);
int __wrap_pthread_join(pthread_t thread, void **result);

static bool fails(void) {
  if (witness != NULL) witness();
  if (until_failure == 0 || --until_failure > 0) return false;
  failed = true;
  failures++;
  return true;
}

static void *counted(void *memory) {
  if (memory != NULL) live++;
  return memory;
}

void *__wrap_malloc(size_t size) {
  return fails() ? NULL : counted(__real_malloc(size));
}
void *__wrap_calloc(size_t count, size_t size) {
  return fails() ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *old, size_t size) {
  void *made = fails() ? NULL : __real_realloc(old, size);
  if (made != NULL && old == NULL) live++;
  return made;
}

void __wrap_free(void *memory) {
  if (memory != NULL) live--;
  __real_free(memory);
}

char *__wrap_strdup(const char *text) {
  return fails() ? NULL : counted(__real_strdup(text));
}

int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **out_list) {
  const int result = fails() ? EAI_MEMORY : __real_getaddrinfo(host, service, hints, out_list);
  if (result == 0) live++;
  return result;
}

void __wrap_freeaddrinfo(struct addrinfo *list) {
  live--;
  __real_freeaddrinfo(list);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument) {
  const int failure = fails() ? EAGAIN : __real_pthread_create(thread, attributes, run, argument);
  if (failure == 0) live++;
  return failure;
}

int __wrap_pthread_join(pthread_t thread, void **result) {
  live--;
  return __real_pthread_join(thread, result);
}

#endif
