/* Status codes of the core: one list makes the enum, the stable short name (what Lua sees as `code`) and the text.
 * A unit reports what went wrong by returning a status; the owner of a handle keeps code, errno and text in an
 * edr_error. */
#ifndef EDR_STATUS_H
#define EDR_STATUS_H

/*  enum           value  name            text */
#define EDR_STATUS_LIST(X)                                                                                             \
  X(EDR_OK, 0, "ok", "success")                                                                                        \
  X(EDR_EAGAIN, -1, "again", "more bytes are needed")                                                                  \
  X(EDR_ENOMEM, -2, "nomem", "out of memory")                                                                          \
  X(EDR_EBADARG, -3, "badarg", "an argument is not valid")                                                             \
  X(EDR_EPROTOCOL, -4, "protocol", "the peer sent something that the protocol does not allow")                         \
  X(EDR_ELIMIT, -5, "limit", "a limit on size, depth or count was passed")                                             \
  X(EDR_ETIMEOUT, -6, "timeout", "the deadline passed")                                                                \
  X(EDR_ENODEDOWN, -7, "nodedown", "the node is not running or the connection to it was lost")                         \
  X(EDR_ENOEPMD, -8, "no_epmd", "no epmd answers on that host")                                                        \
  X(EDR_EREFUSED, -9, "refused", "the connection was refused")                                                         \
  X(EDR_EUNKNOWNHOST, -10, "unknown_host", "the host name is not known")                                               \
  X(EDR_EAUTH, -11, "auth", "the cookie was not accepted")                                                             \
  X(EDR_ENOTALLOWED, -12, "not_allowed", "the node does not allow this connection")                                    \
  X(EDR_EALIVE, -13, "alive", "a node of that name is connected already")                                              \
  X(EDR_EINTERRUPTED, -14, "interrupted", "a signal arrived")                                                          \
  X(EDR_ENOTSUP, -15, "not_supported", "this is not supported")                                                        \
  X(EDR_ESYSTEM, -16, "system", "the operating system refused")                                                        \
  X(EDR_ECLOSED, -17, "closed", "the handle was closed")                                                               \
  X(EDR_ETLS, -18, "tls", "TLS could not be agreed on")                                                                \
  X(EDR_EFENCED, -19, "fenced", "the gate that lets acts in is gone or shut: nothing was done")                        \
  X(EDR_ENOROOM, -20, "system_limit", "the node has no room for another process")                                      \
  X(EDR_ESSH, -21, "ssh", "ssh did not get there")

#define EDR_STATUS_ENUM(symbol, value, name, text) symbol = (value),
typedef enum edr_status { EDR_STATUS_LIST(EDR_STATUS_ENUM) } edr_status;
#undef EDR_STATUS_ENUM

/* The stable short name of a status ("timeout"), or "unknown". Never NULL. */
const char *edr_status_name(edr_status status);

/* One sentence for people, without a full stop, or "unknown status". Never NULL. */
const char *edr_status_text(edr_status status);

/* What a handle remembers of its last failure. `text` is for people, says what was tried and on what, and is always
 * terminated. `sys_errno` is 0 where no system call was to blame. */
typedef struct edr_error {
  edr_status code;
  int sys_errno;
  char text[512];
} edr_error;

/* Fills `error` (may be NULL) and returns `code`, so that a failure can be said and returned in one line. */
edr_status edr_error_set(edr_error *error, edr_status code, int sys_errno, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 4, 5)))
#endif
    ;

#endif
