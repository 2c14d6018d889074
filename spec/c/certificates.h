/* Certificates for the C tests, made by the openssl program in a temporary folder: a CA, and what it has signed for
 * localhost. */
#ifndef EDR_CERTIFICATES_H
#define EDR_CERTIFICATES_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct certificates {
  char folder[40];
  char ca[64], other_ca[64]; /* the other one has signed nothing */
  char certificate[64], key[64];
} certificates;

/* Exits where that fails: it is no part of what is tested. */
static inline void certificates_make(certificates *self) {
  static const char folder[] = "/tmp/edr_certificates_XXXXXX";
  char command[1024];
  snprintf(self->folder, sizeof self->folder, "%s", folder);
  if (mkdtemp(self->folder) == NULL) exit(2);
  snprintf(self->ca, sizeof self->ca, "%s/ca.pem", self->folder);
  snprintf(self->other_ca, sizeof self->other_ca, "%s/other.pem", self->folder);
  snprintf(self->certificate, sizeof self->certificate, "%s/cert.pem", self->folder);
  snprintf(self->key, sizeof self->key, "%s/key.pem", self->folder);
  snprintf(command, sizeof command,
           "cd %s && { new='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'; "
           "openssl req -x509 $new -keyout ca.key -out other.pem -days 2 -subj /CN=Other && "
           "openssl req -x509 $new -keyout ca.key -out ca.pem -days 2 -subj /CN=CA && "
           "openssl req -new $new -keyout key.pem -out request -subj /CN=localhost "
           "-addext subjectAltName=DNS:localhost,IP:127.0.0.1 && "
           "openssl x509 -req -in request -CA ca.pem -CAkey ca.key -days 2 -copy_extensions copy -out cert.pem; } "
           "2>/dev/null",
           self->folder);
  if (system(command) != 0) {
    fprintf(stderr, "openssl could not make a certificate\n");
    exit(2);
  }
}

static inline void certificates_remove(const certificates *self) {
  static const char *const names[] = {"ca.pem", "ca.key", "other.pem", "key.pem", "request", "cert.pem"};
  char path[80];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    snprintf(path, sizeof path, "%s/%s", self->folder, names[i]);
    unlink(path);
  }
  rmdir(self->folder);
}

#endif
