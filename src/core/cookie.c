/* The cookie: given, or the user's own; contract in cookie.h. */
#include "cookie.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "etf.h"
#include "private_file.h"

/* Opens a cookie file: a plain file, ours or root's, that nobody else can use. EDR_EAUTH, and EDR_EAGAIN where there is
 * none: the next place may have one. */
static edr_status open_cookie_file(const char *path, int *out_fd, edr_error *error) {
  struct stat about;
  edr_error cause;
  int fd = -1;
  edr_status status = edr_file_open(path, O_RDONLY, &fd, &about, &cause);
  if (status == EDR_ESYSTEM) {
    edr_error_set(error, EDR_EAUTH, cause.sys_errno,
                  "no cookie: %.200s cannot be read (%s). Give the node's cookie (a mix release has it in "
                  "releases/COOKIE, and erlang:get_cookie() on the node shows it), or put it into that file",
                  path, strerror(cause.sys_errno));
    return cause.sys_errno == ENOENT ? EDR_EAGAIN : EDR_EAUTH;
  }
  if (status == EDR_OK) status = edr_file_check_private(&about, path, &cause);
  if (status == EDR_OK) {
    *out_fd = fd;
    return EDR_OK;
  }
  if (fd >= 0) close(fd);
  return edr_error_set(error, EDR_EAUTH, 0, "no cookie: %s", cause.text);
}

/* Reads the first line of `path` as a cookie. EDR_EAUTH: it is not a usable one; EDR_EAGAIN: there is no such file. */
static edr_status read_cookie_file(const char *path, char cookie[EDR_COOKIE_MAX + 1], edr_error *error) {
  char text[EDR_COOKIE_MAX + 3];
  size_t length;
  ssize_t size;
  int number, fd = -1;
  edr_status status = open_cookie_file(path, &fd, error);
  if (status != EDR_OK) return status;
  size = read(fd, text, sizeof text - 1);
  number = errno;
  close(fd);
  if (size < 0) return edr_error_set(error, EDR_EAUTH, number, "no cookie: reading %.200s: %s", path, strerror(number));
  text[size] = '\0';
  length = strcspn(text, "\r\n");
  if (length == 0 || length > EDR_COOKIE_MAX) {
    status = edr_error_set(error, EDR_EAUTH, 0, "no cookie: %.200s is empty, or its first line is over %d bytes", path,
                           (int)EDR_COOKIE_MAX);
  } else {
    memcpy(cookie, text, length);
    cookie[length] = '\0';
  }
  OPENSSL_cleanse(text, sizeof text);
  return status;
}

/* The cookie of the user whose home folder and configuration these are, where Erlang looks for it too: in the home
 * folder, then in the configuration. The complaint is about the former. Source: auth.erl, filename:basedir/2. */
static edr_status user_cookie(const char *home, const char *config, char cookie[EDR_COOKIE_MAX + 1], edr_error *error) {
  char path[4096];
  edr_error ignored;
  edr_status status;
  if (snprintf(path, sizeof path, "%s/.erlang.cookie", home) >= (int)sizeof path) {
    return edr_error_set(error, EDR_EAUTH, 0, "no cookie: none was given, and HOME is too long a path");
  }
  status = read_cookie_file(path, cookie, error);
  if (status != EDR_EAGAIN) return status;
  if (snprintf(path, sizeof path, "%s%s/erlang/.erlang.cookie", config != NULL ? config : home,
               config != NULL ? "" : "/.config") >= (int)sizeof path) {
    return EDR_EAUTH;
  }
  status = read_cookie_file(path, cookie, &ignored);
  if (status != EDR_OK && status != EDR_EAGAIN && error != NULL) *error = ignored;
  return status == EDR_EAGAIN ? EDR_EAUTH : status;
}

/* Copies text as Latin-1. EDR_EBADARG for characters that are not in it. */
static edr_status to_latin1(const char *text, char cookie[EDR_COOKIE_MAX + 1], edr_error *error) {
  const uint8_t *from = (const uint8_t *)text;
  const size_t size = strlen(text);
  size_t at, used = 0;
  if (!edr_etf_utf8_valid(text, size)) {
    strcpy(cookie, text);
    return EDR_OK;
  }
  for (at = 0; at < size; at++) {
    if (from[at] > 0xC3)
      return edr_error_set(error, EDR_EBADARG, 0,
                           "a cookie has characters of Latin-1 alone (up to \\xff), as in Erlang");
    /* U+0080 to U+00FF are two bytes, C2 or C3 and what follows. */
    cookie[used++] = (char)(from[at] < 0x80 ? from[at] : (from[at] & 3) << 6 | (from[at + 1] & 0x3F));
    if (from[at] >= 0x80) at++;
  }
  cookie[used] = '\0';
  return EDR_OK;
}

edr_status edr_cookie_find(const char *given, char cookie[EDR_COOKIE_MAX + 1], edr_error *error) {
  const char *home = getenv("HOME"), *config = getenv("XDG_CONFIG_HOME");
  if (given != NULL) {
    if (given[0] == '\0' || strlen(given) > EDR_COOKIE_MAX) {
      return edr_error_set(error, EDR_EBADARG, 0, "a cookie has 1 to %d bytes", (int)EDR_COOKIE_MAX);
    }
    return to_latin1(given, cookie, error);
  }
  if (home == NULL || home[0] == '\0') {
    return edr_error_set(error, EDR_EAUTH, 0,
                         "no cookie: none was given, and HOME is not set, so that there is no "
                         "~/.erlang.cookie to look into");
  }
  return user_cookie(home, config != NULL && config[0] != '\0' ? config : NULL, cookie, error);
}

void edr_cookie_digest(const char *cookie, uint32_t challenge, uint8_t out_digest[EDR_MD5_SIZE]) {
  char number[16];
  edr_md5 md5;
  snprintf(number, sizeof number, "%lu", (unsigned long)challenge);
  edr_md5_init(&md5);
  edr_md5_add(&md5, cookie, strlen(cookie));
  edr_md5_add(&md5, number, strlen(number));
  edr_md5_end(&md5, out_digest);
  OPENSSL_cleanse(&md5, sizeof md5);
}
