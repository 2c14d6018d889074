/* TLS by OpenSSL; contracts in tls.h. OpenSSL's own socket BIO writes with write(2), which raises SIGPIPE, and leaves a
 * record that the socket does not take inside OpenSSL, which then cannot answer a request for new keys (it fails with
 * "bad length"). Ours does neither: it takes whole records and keeps the rest here. */
#include "tls.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buf.h"
#include "private_file.h"
#include "socket.h"

enum { READ_AHEAD = 64 * 1024, READS_A_STEP = 2 };

struct edr_tls {
  SSL *ssl;
  int fd;            /* the caller's */
  bool heard;        /* the peer has sent something */
  bool more;         /* the last read gave bytes: there may be others inside */
  edr_buf out;       /* what the socket did not take yet: a record or two */
  edr_status failed; /* EDR_ETLS or EDR_ENOMEM: that stays */
  bool lost;         /* the connection ended or broke */
  int reads;         /* of this step: OpenSSL reads on while records come in which there is nothing for us */
  int sys_errno;     /* of the last step */
  char reason[192];
};

/* ---- a BIO over the socket ---- */

edr_status edr_tls_flush(edr_tls *tls) {
  size_t sent = 0;
  while (tls->out.size > 0) {
    const edr_status status = edr_socket_send(tls->fd, tls->out.data, tls->out.size, &sent);
    if (status == EDR_EAGAIN) return status;
    if (status != EDR_OK) {
      tls->sys_errno = errno;
      return EDR_ENODEDOWN;
    }
    edr_buf_consume(&tls->out, sent);
  }
  return EDR_OK;
}

static int bio_read(BIO *bio, char *data, int size) {
  edr_tls *tls = BIO_get_data(bio);
  ssize_t got;
  BIO_clear_retry_flags(bio);
  if (tls->reads++ == READS_A_STEP) {
    BIO_set_retry_read(bio);
    return -1;
  }
  got = recv(tls->fd, data, (size_t)size, MSG_DONTWAIT);
  if (got > 0) tls->heard = true;
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
    BIO_set_retry_read(bio);
  else if (got < 0)
    tls->sys_errno = errno;
  return (int)got;
}

static int bio_write(BIO *bio, const char *data, int size) {
  edr_tls *tls = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  edr_buf_append(&tls->out, data, (size_t)size);
  return edr_buf_status(&tls->out) == EDR_OK && edr_tls_flush(tls) != EDR_ENODEDOWN ? size : -1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer) {
  (void)bio, (void)number, (void)pointer;
  return command == BIO_CTRL_FLUSH;
}

/* Made once, for as long as the program runs; NULL: no memory, but there may be some the next time. */
static BIO_METHOD *our_method(void) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  static BIO_METHOD *method;
  static int type; /* there are but a hundred of them in a program */
  BIO_METHOD *ours;
  pthread_mutex_lock(&lock);
  if (type == 0) type = BIO_get_new_index() | BIO_TYPE_SOURCE_SINK;
  if (method == NULL && (method = BIO_meth_new(type, "edr socket")) != NULL) {
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_ctrl(method, bio_control);
  }
  ours = method;
  pthread_mutex_unlock(&lock);
  return ours;
}

/* ---- what went wrong, in words ---- */

static bool means_no_memory(unsigned long number) {
  return ERR_GET_REASON(number) == (ERR_SYSTEM_ERROR(number) ? ENOMEM : ERR_R_MALLOC_FAILURE);
}

/* What went wrong in this thread, and OpenSSL's queue emptied: that memory ran out, wherever it says so, since the rest
 * is what came of it; else the oldest error. 0: it does not say. */
static unsigned long take_error(void) {
  const unsigned long oldest = ERR_get_error();
  unsigned long number = oldest;
  while (number != 0 && !means_no_memory(number)) number = ERR_get_error();
  ERR_clear_error();
  return number != 0 ? number : oldest;
}

static edr_status status_of(unsigned long number) {
  return means_no_memory(number) ? EDR_ENOMEM : EDR_ETLS;
}

/* OpenSSL's own words, but for what we have words for. */
static const char *text_of(unsigned long number) {
  const char *text = ERR_SYSTEM_ERROR(number) ? strerror(ERR_GET_REASON(number)) : ERR_reason_error_string(number);
  if (means_no_memory(number)) return edr_status_text(EDR_ENOMEM);
  return text != NULL ? text : "no reason given";
}

/* A hint for what the peer's certificate was refused for; NULL: OpenSSL's words do. */
static const char *hint_of_verify(long result) {
  switch (result) {
  case X509_V_ERR_HOSTNAME_MISMATCH:
  case X509_V_ERR_IP_ADDRESS_MISMATCH:
    return "it is made out to another host; give as server_name the name that is in it";
  case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
  case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
  case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
  case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
  case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
  case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    return "no CA in cacertfile has signed it";
  default:
    return NULL;
  }
}

/* An alert of the peer's: its number, which is a byte, on top of an offset. OpenSSL's common reasons are far above. */
static bool is_alert(unsigned long number) {
  const int alert = ERR_GET_REASON(number) - SSL_AD_REASON_OFFSET;
  return ERR_GET_LIB(number) == ERR_LIB_SSL && alert > 0 && alert <= UINT8_MAX;
}

/* Keeps the status and OpenSSL's reason for a failed step: our refusal of its certificate, its alert, or bytes that are
 * no TLS. */
static void keep_reason(edr_tls *tls) {
  const unsigned long number = take_error();
  const int reason = ERR_GET_REASON(number);
  const long verified = SSL_get_verify_result(tls->ssl);
  tls->failed = verified == X509_V_ERR_OUT_OF_MEM ? EDR_ENOMEM : status_of(number);
  if (tls->failed == EDR_ENOMEM) return;
  if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && verified != X509_V_OK) {
    const char *hint = hint_of_verify(verified);
    snprintf(tls->reason, sizeof tls->reason, "its certificate was refused: %s%s%s",
             X509_verify_cert_error_string(verified), hint != NULL ? ": " : "", hint != NULL ? hint : "");
  } else if (is_alert(number)) {
    const bool have = SSL_get_certificate(tls->ssl) != NULL;
    snprintf(tls->reason, sizeof tls->reason, "the node refused: %s%s", ERR_reason_error_string(number),
             have ? "" : ": no certificate was shown; give certfile and keyfile");
  } else if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_PACKET_LENGTH_TOO_LONG ||
             reason == SSL_R_HTTP_REQUEST || reason == SSL_R_BAD_RECORD_TYPE) {
    snprintf(tls->reason, sizeof tls->reason, "what answers there does not speak TLS (%s)",
             ERR_reason_error_string(number));
  } else {
    snprintf(tls->reason, sizeof tls->reason, "%s", text_of(number));
  }
}

static edr_status say_failed(const edr_tls *tls) {
  errno = tls->failed == EDR_ENOMEM ? ENOMEM : EPROTO;
  return tls->failed;
}

/* What came of a step of OpenSSL that did not go through. A write that finds nobody does not keep us from reading what
 * they said before. */
static edr_status step_status(edr_tls *tls, int result) {
  if ((tls->failed = edr_buf_status(&tls->out)) != EDR_OK) { /* which to OpenSSL is a write that failed */
    ERR_clear_error();
    return say_failed(tls);
  }
  switch (SSL_get_error(tls->ssl, result)) {
  case SSL_ERROR_WANT_READ:
    return EDR_EAGAIN;
  case SSL_ERROR_SSL:
    if (ERR_GET_REASON(ERR_peek_error()) != SSL_R_UNEXPECTED_EOF_WHILE_READING) {
      keep_reason(tls);
      return say_failed(tls);
    }
    /* fall through */
  default: /* the end, polite or not, or an error of the socket */
    ERR_clear_error();
    tls->lost = true;
    errno = tls->sys_errno;
    return EDR_ENODEDOWN;
  }
}

/* Before each step. EDR_ETLS or EDR_ENOMEM where there is none to come. */
static edr_status begin(edr_tls *tls) {
  if (tls->failed != EDR_OK) return say_failed(tls);
  tls->sys_errno = tls->reads = 0;
  ERR_clear_error();
  return EDR_OK;
}

/* ---- opening ---- */

static int on_password(char *data, int size, int for_writing, void *context) {
  const char *password = context;
  const size_t length = password != NULL ? strlen(password) : 0;
  (void)for_writing;
  if (length == 0 || length > (size_t)size) return -1; /* nobody is asked at the terminal */
  memcpy(data, password, length);
  return (int)length;
}

static edr_status refuse_file(edr_error *error, const char *option, const char *path) {
  const unsigned long number = take_error();
  return edr_error_set(error, status_of(number), 0, "the %s %.200s cannot be used: %s", option, path, text_of(number));
}

/* The key of our certificate. The file is looked at by the descriptor that it is read from. */
static edr_status load_key(SSL_CTX *context, const edr_tls_options *options, const char *path, edr_error *error) {
  struct stat about;
  edr_error cause = {EDR_OK, 0, ""};
  int used = 0, fd = -1;
  BIO *file;
  EVP_PKEY *key = NULL;
  edr_status status = edr_file_open(path, O_RDONLY, &fd, &about, &cause);
  if (status == EDR_OK) status = edr_file_check_private(&about, path, &cause);
  if (status != EDR_OK) {
    if (fd >= 0) close(fd);
    return edr_error_set(error, EDR_ETLS, cause.sys_errno, "the keyfile cannot be used: %s", cause.text);
  }
  file = BIO_new_fd(fd, BIO_CLOSE);
  if (file == NULL) {
    close(fd);
  } else {
    key = PEM_read_bio_PrivateKey(file, NULL, on_password, (void *)(uintptr_t)options->password);
    BIO_free(file);
    used = key != NULL ? SSL_CTX_use_PrivateKey(context, key) : 0;
    EVP_PKEY_free(key);
  }
  return used == 1 ? EDR_OK : refuse_file(error, "keyfile", path);
}

/* The CA that we trust, and our own certificate. */
static edr_status load_files(SSL_CTX *context, const edr_tls_options *options, edr_error *error) {
  const char *key = options->keyfile != NULL ? options->keyfile : options->certfile;
  if (options->cacertfile == NULL && !options->verify_none) {
    return edr_error_set(error, EDR_ETLS, 0,
                         "there is no cacertfile to check its certificate with; give the CA that has "
                         "signed it");
  }
  if (options->cacertfile != NULL && SSL_CTX_load_verify_file(context, options->cacertfile) != 1) {
    return refuse_file(error, "cacertfile", options->cacertfile);
  }
  if (options->certfile != NULL && SSL_CTX_use_certificate_chain_file(context, options->certfile) != 1) {
    return refuse_file(error, "certfile", options->certfile);
  }
  return key != NULL ? load_key(context, options, key, error) : EDR_OK;
}

static edr_status set_up_context(SSL_CTX *context, const edr_tls_options *options, edr_error *error) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_mode(context,
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER); /* a record at a time */
  SSL_CTX_set_options(context,
                      SSL_OP_IGNORE_UNEXPECTED_EOF); /* frames have lengths: an end inside one is noticed there */
  SSL_CTX_set_verify(context, options->verify_none ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_default_read_buffer_len(context, READ_AHEAD);
  SSL_CTX_set_default_passwd_cb(context, on_password); /* nobody is asked for that of a certificate, either */
  return load_files(context, options, error);
}

/* To OpenSSL an empty name is none, so that any certificate would do, and ".example.com" is every host below it. */
static edr_status check_host(const char *host, edr_error *error) {
  if (host[0] == '\0')
    return edr_error_set(
        error, EDR_ETLS, 0,
        "the server_name is empty: give the name in the node's certificate, or leave it out where that "
        "is the node's host");
  if (host[0] == '.')
    return edr_error_set(error, EDR_ETLS, 0,
                         "the server_name \"%.80s\" begins with a dot, which would accept the certificate of any host "
                         "below that domain: give one name",
                         host);
  return EDR_OK;
}

/* The name that the certificate must have, and that the peer is told where it has several. False: no memory. */
static bool expect_host(SSL *ssl, const char *host) {
  if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1) return true;
  ERR_clear_error();
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

/* The object, not yet connected; NULL: no memory. `context` is taken along. */
static edr_tls *make(int fd, SSL_CTX *context, const char *host) {
  edr_tls *tls = calloc(1, sizeof *tls);
  BIO_METHOD *method = our_method();
  BIO *bio;
  if (tls == NULL) return NULL;
  edr_buf_init(&tls->out);
  tls->fd = fd;
  tls->ssl = SSL_new(context);
  bio = method != NULL ? BIO_new(method) : NULL;
  if (tls->ssl == NULL || bio == NULL || !expect_host(tls->ssl, host)) {
    BIO_free(bio);
    SSL_free(tls->ssl);
    free(tls);
    return NULL;
  }
  BIO_set_data(bio, tls);
  BIO_set_init(bio, 1);
  SSL_set_bio(tls->ssl, bio, bio);
  SSL_set_connect_state(tls->ssl);
  return tls;
}

static edr_status shake_hands(edr_tls *tls, int64_t deadline_ms, edr_error *error) {
  for (;;) {
    edr_status status;
    int result;
    (void)begin(tls);
    result = SSL_do_handshake(tls->ssl);
    if (result == 1) return EDR_OK;
    status = step_status(tls, result);
    if (status == EDR_EAGAIN) status = edr_tls_flush(tls);
    if (status == EDR_EAGAIN || status == EDR_OK)
      status = edr_socket_wait(tls->fd, edr_tls_events(tls, false), deadline_ms);
    if (status == EDR_OK) continue;
    if (status == EDR_ETLS) return edr_error_set(error, status, 0, "%s", tls->reason);
    if (status == EDR_ETIMEOUT) {
      return edr_error_set(
          error, status, 0, "%s",
          tls->heard ? "the peer did not finish the handshake in time"
                     : "the peer did not answer in time; a node that does not speak TLS keeps silent like this");
    }
    if (status == EDR_ENODEDOWN) {
      return edr_error_set(error, tls->heard ? EDR_ETLS : status, tls->sys_errno, "%s",
                           tls->heard ? "the peer closed the connection during the handshake"
                                      : "the peer closed the connection without a word; does it speak TLS?");
    }
    return edr_error_set(error, status, errno, "%s", edr_status_text(status));
  }
}

edr_status edr_tls_open(int fd, const edr_tls_options *options, const char *host, int64_t deadline_ms,
                        edr_tls **out_tls, edr_error *error) {
  SSL_CTX *context;
  edr_tls *tls;
  edr_status status;
  if (options->server_name != NULL) host = options->server_name;
  status = check_host(host, error);
  if (status != EDR_OK) return status;
  ERR_clear_error();
  context = SSL_CTX_new(TLS_client_method());
  if (context == NULL) {
    const unsigned long number = take_error();
    status = number != 0 ? status_of(number) : EDR_ENOMEM;
    return edr_error_set(error, status, 0, "%s", number != 0 ? text_of(number) : edr_status_text(status));
  }
  status = set_up_context(context, options, error);
  if (status != EDR_OK) {
    SSL_CTX_free(context);
    return status;
  }
  tls = make(fd, context, host);
  SSL_CTX_free(context);
  if (tls == NULL) {
    ERR_clear_error();
    return edr_error_set(error, EDR_ENOMEM, 0, "%s", edr_status_text(EDR_ENOMEM));
  }
  status = shake_hands(tls, deadline_ms, error);
  if (status != EDR_OK) {
    edr_tls_free(tls);
    return status;
  }
  tls->more = true; /* the handshake may have read beyond itself */
  *out_tls = tls;
  return EDR_OK;
}

void edr_tls_free(edr_tls *tls) {
  if (tls == NULL) return;
  if (tls->failed == EDR_OK && !tls->lost && SSL_is_init_finished(tls->ssl)) (void)SSL_shutdown(tls->ssl);
  SSL_free(tls->ssl);
  ERR_clear_error();
  edr_buf_deinit(&tls->out);
  free(tls);
}

/* ---- bytes ---- */

edr_status edr_tls_read(edr_tls *tls, uint8_t *data, size_t size, size_t *out_size) {
  edr_status status = begin(tls);
  int result;
  if (status != EDR_OK) return status;
  result = SSL_read_ex(tls->ssl, data, size, out_size);
  tls->more = result == 1;
  return result == 1 ? EDR_OK : step_status(tls, result);
}

/* Whether new keys are agreed on (TLS 1.2), or the peer has asked for that while more of its data was here. Only a read
 * can begin it and see it through: the peer's data may come in between, which OpenSSL allows to reads alone. */
static bool renews_keys(const edr_tls *tls) {
  return SSL_in_init(tls->ssl) || SSL_renegotiate_pending(tls->ssl);
}

edr_status edr_tls_write(edr_tls *tls, const uint8_t *data, size_t size, size_t *out_size) {
  edr_status status = begin(tls);
  int result;
  if (status != EDR_OK || (status = edr_tls_flush(tls)) != EDR_OK) {
    if (status == EDR_ENODEDOWN) errno = tls->sys_errno;
    return status;
  }
  if (renews_keys(tls)) return EDR_EAGAIN;
  result = SSL_write_ex(tls->ssl, data, size, out_size);
  return result == 1 ? EDR_OK : step_status(tls, result);
}

short edr_tls_events(const edr_tls *tls, bool writing) {
  return tls->out.size > 0 || (writing && !renews_keys(tls)) ? POLLIN | POLLOUT : POLLIN;
}

bool edr_tls_pending(const edr_tls *tls) {
  return tls->more;
}
size_t edr_tls_unsent(const edr_tls *tls) {
  return tls->out.size;
}
const char *edr_tls_reason(const edr_tls *tls) {
  return tls->reason;
}
