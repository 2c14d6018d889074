#include "status.h"

#include <stdarg.h>
#include <stdio.h>

const char *edr_status_name(edr_status status) {
  switch (status) {
#define EDR_STATUS_CASE(symbol, value, name, text)                                                                     \
  case symbol:                                                                                                         \
    return name;
    EDR_STATUS_LIST(EDR_STATUS_CASE)
#undef EDR_STATUS_CASE
  }
  return "unknown";
}

const char *edr_status_text(edr_status status) {
  switch (status) {
#define EDR_STATUS_CASE(symbol, value, name, text)                                                                     \
  case symbol:                                                                                                         \
    return text;
    EDR_STATUS_LIST(EDR_STATUS_CASE)
#undef EDR_STATUS_CASE
  }
  return "unknown status";
}

edr_status edr_error_set(edr_error *error, edr_status code, int sys_errno, const char *format, ...) {
  if (error != NULL) {
    va_list arguments;
    error->code = code;
    error->sys_errno = sys_errno;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
  }
  return code;
}
