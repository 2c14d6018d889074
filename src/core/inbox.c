#include "inbox.h"

#include <string.h>

void edr_inbox_init(edr_inbox *inbox, size_t max) {
  memset(inbox, 0, sizeof *inbox);
  edr_buf_init(&inbox->bytes);
  inbox->max = max > 0 ? max : EDR_INBOX_DEFAULT_MAX;
}

void edr_inbox_deinit(edr_inbox *inbox) {
  edr_buf_deinit(&inbox->bytes);
}

edr_status edr_inbox_put(edr_inbox *inbox, edr_slice term) {
  const uint64_t size = term.size;
  const size_t used = inbox->bytes.size - inbox->start;

  if (term.size > inbox->max || used > inbox->max - term.size) {
    inbox->dropped++;
    return EDR_OK;
  }
  if (inbox->start > inbox->bytes.size / 2) {
    edr_buf_consume(&inbox->bytes, inbox->start);
    inbox->start = 0;
  }
  if (edr_buf_reserve(&inbox->bytes, sizeof size + term.size) != EDR_OK) return EDR_ENOMEM;
  edr_buf_append(&inbox->bytes, &size, sizeof size);
  edr_buf_append(&inbox->bytes, term.data, term.size);
  inbox->count++;
  return EDR_OK;
}

edr_status edr_inbox_put_down(edr_inbox *inbox, const edr_ref *ref, const edr_pid *pid, edr_slice reason) {
  edr_buf message;
  edr_status status;
  edr_buf_init(&message);
  edr_etf_put_tuple(&message, 5);
  edr_etf_put_atom(&message, "DOWN", 4);
  edr_etf_put_ref(&message, ref);
  edr_etf_put_atom(&message, "process", 7);
  edr_etf_put_pid(&message, pid);
  edr_buf_append(&message, reason.data, reason.size);
  status = edr_buf_status(&message);
  if (status == EDR_OK) status = edr_inbox_put(inbox, (edr_slice){message.data, message.size});
  edr_buf_deinit(&message);
  return status;
}

edr_status edr_inbox_take(edr_inbox *inbox, edr_buf *message) {
  uint64_t size;
  if (inbox->count == 0) return EDR_EAGAIN;
  memcpy(&size, inbox->bytes.data + inbox->start, sizeof size);
  edr_buf_append(message, inbox->bytes.data + inbox->start + sizeof size, (size_t)size);
  inbox->start += sizeof size + (size_t)size;
  if (--inbox->count == 0) {
    edr_buf_deinit(&inbox->bytes);
    inbox->start = 0;
  }
  return edr_buf_status(message);
}
