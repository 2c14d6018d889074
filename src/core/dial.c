/* Opens an authenticated connection to a node; contracts in dial.h. The handshake itself is erl_interface's, run over a
 * socket that we connected, read and write (ei's own way with sockets is select and SIGPIPE). */
#include "dial.h"

#include <ei.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "cookie.h"
#include "epmd.h"
#include "handshake.h"
#include "socket.h"

enum {
  LENGTH_SIZE = 2,     /* the length before each packet of the handshake */
  TLS_LENGTH_SIZE = 4, /* the same under TLS */
  HOST_MAX = 253,
  /* A name that the node gives us ends in the host name that we send; see GIVEN_NAME_PACKET_MAX in handshake.c. */
  OWN_HOST_MAX = 64
};

/* What ei's callbacks work on: one dial, on the stack of edr_dial. */
typedef struct wire {
  edr_transport transport;
  size_t length_size; /* LENGTH_SIZE, or TLS_LENGTH_SIZE */
  bool given_away;    /* the transport is the caller's now: ei's close leaves it open */
  int64_t deadline_ms;
  edr_handshake handshake;
  edr_status status; /* the first failure, EDR_OK while there is none */
  edr_error cause;   /* its text, where the handshake gave one */
  char reason[200];  /* OpenSSL's or ssh's, since ei closes before we can ask */
  bool cut_off;      /* it was ssh that failed */
  bool unreachable;  /* ssh got to its host, but not from there to the node */
  uint8_t packet[TLS_LENGTH_SIZE + EDR_HANDSHAKE_PACKET_MAX];
  size_t packet_size, packet_read; /* the peer's packet that ei is reading, and how much of it ei has */
} wire;

typedef struct target {
  const char *node;
  char alive[EDR_NODE_NAME_MAX + 1];
  const char *host;    /* of the name */
  const char *address; /* where to connect */
  const char *ssh;     /* from there; NULL: from here */
  bool port_given;     /* epmd was not asked */
  uint16_t port;
} target;

/* ---- ei's callbacks: 0, or an errno ---- */

/* Why the connection ended, where ssh carries it. On any failure ssh has nothing left to do. */
static void note_tunnel(wire *to, edr_status status) {
  if (to->transport.tunnel == NULL) return;
  if (status == EDR_ENODEDOWN) {
    char text[sizeof to->reason];
    to->cut_off = edr_tunnel_failed(to->transport.tunnel, text, sizeof text, &to->unreachable);
    if (to->cut_off) memcpy(to->reason, text, sizeof text);
  }
  edr_tunnel_kill(to->transport.tunnel);
}

static int wire_fail(wire *to, edr_status status) {
  if (to->status == EDR_OK) {
    to->status = status;
    if (to->cause.code == EDR_OK) to->cause.sys_errno = errno;
    snprintf(to->reason, sizeof to->reason, "%s", edr_transport_reason(&to->transport));
    note_tunnel(to, status);
  }
  return EIO;
}

/* What a node thinks of our certificate may come after TLS has begun for us: so a peer that can't be written to is
 * listened to. */
static edr_status last_words(wire *of, edr_status status) {
  uint8_t byte;
  size_t got;
  if (status != EDR_ENODEDOWN || of->transport.tls == NULL) return status;
  return edr_transport_read(&of->transport, &byte, 1, &got) == EDR_ETLS ? EDR_ETLS : status;
}

static int on_socket(void **out_context, void *setup) {
  *out_context = setup;
  return 0;
}

static int on_close(void *context) {
  wire *from = context;
  if (!from->given_away) edr_transport_close(&from->transport);
  from->transport = edr_transport_tcp(-1);
  return 0;
}

/* The address is ei's idea of one, and IPv4: we are connected already. */
static int on_connect(void *context, void *address, int size, unsigned timeout_ms) {
  (void)context, (void)address, (void)size, (void)timeout_ms;
  return 0;
}

static int on_write(void *context, const char *data, ssize_t *size, unsigned timeout_ms) {
  wire *to = context;
  uint8_t packet[TLS_LENGTH_SIZE + EDR_HANDSHAKE_PACKET_MAX];
  edr_status status;
  (void)timeout_ms; /* one deadline rules the whole dial */
  /* ei writes each packet with one call. */
  if (*size <= (ssize_t)to->length_size || (size_t)*size > sizeof packet) return wire_fail(to, EDR_EPROTOCOL);
  memcpy(packet, data, (size_t)*size);
  edr_handshake_send(&to->handshake, packet + to->length_size, (size_t)*size - to->length_size);
  status = last_words(to, edr_transport_write_all(&to->transport, packet, (size_t)*size, to->deadline_ms));
  return status == EDR_OK ? 0 : wire_fail(to, status);
}

/* Reads one whole packet, not a byte more: what follows the handshake is the caller's. */
static int next_packet(wire *from) {
  uint8_t *const packet = from->packet + from->length_size;
  size_t size = 0;
  edr_status status = edr_transport_read_all(&from->transport, from->packet, from->length_size, from->deadline_ms);
  if (status != EDR_OK) return wire_fail(from, status);
  for (size_t i = 0; i < from->length_size; i++) size = size << 8 | from->packet[i];
  if (size > 0 && size <= EDR_HANDSHAKE_PACKET_MAX) {
    status = edr_transport_read_all(&from->transport, packet, size, from->deadline_ms);
    if (status != EDR_OK) return wire_fail(from, status);
  }
  status = edr_handshake_receive(&from->handshake, packet, size, &from->cause);
  if (status != EDR_OK) return wire_fail(from, status);
  from->packet_size = from->length_size + size;
  from->packet_read = 0;
  return 0;
}

static int on_read(void *context, char *data, ssize_t *size, unsigned timeout_ms) {
  wire *from = context;
  size_t left;
  (void)timeout_ms;
  if (from->packet_read == from->packet_size && next_packet(from) != 0) return EIO;
  left = from->packet_size - from->packet_read;
  if (*size > 0 && (size_t)*size < left) left = (size_t)*size;
  memcpy(data, from->packet + from->packet_read, left);
  from->packet_read += left;
  *size = (ssize_t)left;
  return 0;
}

static int on_header_size(void *context, int *out_size) {
  *out_size = (int)((const wire *)context)->length_size;
  return 0;
}

static int on_complete(void *context) {
  (void)context;
  return 0;
}

static int on_get_fd(void *context, int *out_fd) {
  *out_fd = ((const wire *)context)->transport.fd;
  return 0;
}

/* Not const only because ei does not say that it leaves them alone. */
static ei_socket_callbacks callbacks = {
    .flags = EI_SCLBK_FLG_FULL_IMPL,
    .socket = on_socket,
    .close = on_close,
    .connect = on_connect,
    .write = on_write,
    .read = on_read,
    .handshake_packet_header_size = on_header_size,
    .connect_handshake_complete = on_complete,
    .accept_handshake_complete = on_complete,
    .get_fd = on_get_fd,
};

/* ei keeps a table by descriptor, as large as the limit on open files when it was initialised. */
static long ei_descriptors;

/* 0, or an errno: no memory for that table, but there may be some the next time. */
static int init_ei(void) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  static bool done;
  int problem = 0;
  pthread_mutex_lock(&lock);
  if (!done) {
    ei_descriptors = sysconf(_SC_OPEN_MAX);
    problem = ei_init();
    done = problem == 0;
  }
  pthread_mutex_unlock(&lock);
  return problem;
}

/* ei mixes the host's id into its challenge. libc would ask the resolver for it, which takes as long as it takes;
 * chance makes the better challenge, too. The linker takes this one, and shows it to nobody else. */
long gethostid(void);
long gethostid(void) {
  long id;
  if (getrandom(&id, sizeof id, GRND_NONBLOCK) != (ssize_t)sizeof id) id = (long)edr_clock_now_us();
  return id;
}

/* ---- names: checked before ei copies them into its fixed buffers ---- */

/* "alive@host", both there, nothing but printable characters, short enough for an atom. */
static bool node_name_valid(const char *name) {
  const char *at = strchr(name, '@');
  size_t size = strlen(name);
  if (at == NULL || at == name || at[1] == '\0' || strchr(at + 1, '@') != NULL) return false;
  if (size > EDR_NODE_NAME_MAX || strlen(at + 1) > HOST_MAX) return false;
  for (const char *c = name; *c != '\0'; c++) {
    if ((unsigned char)*c <= ' ' || *c == 0x7f) return false;
  }
  return edr_etf_atom_valid(name, size);
}

static edr_status check_names(const edr_dial_options *options, target *to, edr_error *error) {
  const char *at;
  if (options->node == NULL || !node_name_valid(options->node)) {
    return edr_error_set(error, EDR_EBADARG, 0,
                         "\"%.80s\" is not a node's name: it has the form name@host, as the node itself prints it "
                         "(node() in its shell)",
                         options->node != NULL ? options->node : "");
  }
  if (options->name != NULL && !node_name_valid(options->name)) {
    return edr_error_set(error, EDR_EBADARG, 0,
                         "\"%.80s\" is not a name for us: it has the form name@host, or leave it "
                         "out and the node will give us one",
                         options->name);
  }
  at = strchr(options->node, '@');
  memset(to, 0, sizeof *to);
  to->node = options->node;
  memcpy(to->alive, options->node, (size_t)(at - options->node));
  to->host = at + 1;
  to->address = options->address != NULL && options->address[0] != '\0' ? options->address : to->host;
  to->port = options->port;
  to->port_given = options->port != 0;
  to->ssh = options->ssh != NULL && options->ssh[0] != '\0' ? options->ssh : NULL;
  return EDR_OK;
}

/* ---- the handshake ---- */

/* Sets `ec` up for one connection, under the name of ours or, without one, under that which the node will give us. */
static edr_status prepare_ei(ei_cnode *ec, const char *name, wire *through) {
  char host[EI_MAXHOSTNAMELEN + 1] = "", alive[EI_MAXALIVELEN + 1] = "";
  struct timespec now;
  unsigned creation;
  memset(ec, 0, sizeof *ec);
  /* Tells pids of ours from those of an earlier node of the same name; the low values are old ones with a meaning. */
  clock_gettime(CLOCK_REALTIME, &now);
  creation = ((unsigned)now.tv_sec << 12 ^ (unsigned)now.tv_nsec ^ (unsigned)getpid()) | 0x10;
  if (name != NULL) {
    const char *at = strchr(name, '@');
    memcpy(alive, name, (size_t)(at - name));
    strcpy(host, at + 1);
  } else if (gethostname(host, OWN_HOST_MAX) != 0 || host[0] == '\0') {
    strcpy(host, "localhost");
  }
  host[sizeof host - 1] = '\0';
  return ei_connect_xinit_ussi(ec, host, name != NULL ? alive : NULL, name, NULL, EDR_HANDSHAKE_STAND_IN, creation,
                               &callbacks, (int)sizeof callbacks, through) < 0
             ? EDR_ESYSTEM
             : EDR_OK;
}

/* Says why ssh did not carry us to the node. */
static edr_status say_cut_off(bool unreachable, const char *why, const target *to, edr_error *error) {
  if (!unreachable) return edr_error_set(error, EDR_ESSH, 0, EDR_TUNNEL_BROKEN, to->ssh, why, to->ssh);
  if (to->port_given) {
    return edr_error_set(error, EDR_EREFUSED, 0,
                         "%s port %u takes no connections from %s (ssh: %s): is that the port of node %s?", to->address,
                         (unsigned)to->port, to->ssh, why, to->node);
  }
  return edr_error_set(error, EDR_ENODEDOWN, 0,
                       "epmd says that node %s listens on %s port %u, but nobody takes connections there from %s (ssh: "
                       "%s): has it just stopped?",
                       to->node, to->address, (unsigned)to->port, to->ssh, why);
}

/* Says for a person why the handshake ended. `ei_errno` counts only where none of our callbacks saw a failure. */
static edr_status say_handshake(const wire *failed, const target *to, int ei_errno, edr_error *error) {
  const char *node = to->node, *address = to->address;
  unsigned port = to->port;
  edr_handshake_stage stage = failed->handshake.stage;
  if (failed->cause.code != EDR_OK) {
    if (error != NULL) *error = failed->cause;
    return failed->cause.code;
  }
  if (failed->status == EDR_OK && ei_errno == ENOMEM) {
    return edr_error_set(error, EDR_ENOMEM, ENOMEM, "no memory for the handshake with node %s", node);
  }
  if (failed->status == EDR_OK) {
    return edr_error_set(error, EDR_EPROTOCOL, 0,
                         "node %s at %s port %u cannot do what a node of OTP 23 or later can, "
                         "or does not speak the distribution protocol",
                         node, address, port);
  }
  if (failed->status == EDR_ETLS) {
    return edr_error_set(error, EDR_ETLS, 0, "TLS with node %s at %s port %u: %s", node, address, port, failed->reason);
  }
  if (failed->status == EDR_ETIMEOUT) {
    return edr_error_set(error, EDR_ETIMEOUT, 0,
                         "node %s at %s port %u took the connection but did not finish the "
                         "handshake in time: it may be overloaded or stopped, or something else listens there",
                         node, address, port);
  }
  if (failed->cut_off) return say_cut_off(failed->unreachable, failed->reason, to, error);
  if (failed->status == EDR_ENODEDOWN && stage == EDR_HANDSHAKE_ACK) {
    return edr_error_set(error, EDR_EAUTH, 0,
                         "node %s at %s port %u refused our cookie: compare it (by default "
                         "~/.erlang.cookie) with erlang:get_cookie() on the node",
                         node, address, port);
  }
  if (failed->status == EDR_ENODEDOWN) {
    return edr_error_set(error, EDR_EPROTOCOL, failed->cause.sys_errno,
                         "what listens on %s port %u closed the connection "
                         "during the handshake: is that the port of node %s, and does the node want TLS?",
                         address, port, node);
  }
  return edr_error_set(error, failed->status, failed->cause.sys_errno,
                       "during the handshake with node %s at %s port %u: "
                       "%s",
                       node, address, port, edr_status_text(failed->status));
}

/* Runs ei's handshake over `through->transport`. On failure it is closed. */
static edr_status shake_hands(const target *to, const char *name, wire *through, edr_dialed *out_dialed,
                              edr_error *error) {
  ei_cnode ec;
  struct in_addr unused = {0};
  const edr_transport transport = through->transport;
  edr_status status = prepare_ei(&ec, name, through);
  if (status != EDR_OK) {
    on_close(through);
    return edr_error_set(error, status, 0, "erl_interface could not be set up for node %s", to->node);
  }
  if (ei_xconnect_host_port_tmo(&ec, &unused, to->port, 0) < 0) {
    status = say_handshake(through, to, erl_errno, error);
    on_close(through);
  } else {
    /* ei's table forgets the descriptor, which is the caller's from now on. */
    through->given_away = true;
    ei_close_connection(transport.fd);
    memset(out_dialed, 0, sizeof *out_dialed);
    out_dialed->transport = transport;
    out_dialed->peer_flags = through->handshake.peer_flags;
    out_dialed->our_flags = through->handshake.our_flags;
    out_dialed->self.id = 1;
    out_dialed->self.creation = ec.creation;
    snprintf(out_dialed->self.node, sizeof out_dialed->self.node, "%s", ec.thisnodename);
  }
  return status;
}

/* ---- the whole ---- */

/* Finds the port, where it was not given, and connects to it. */
static edr_status reach(const edr_dial_options *options, target *to, int *out_fd, edr_error *error) {
  edr_error cause = {EDR_OK, 0, ""};
  edr_status status = EDR_OK;
  if (to->port == 0) {
    status = edr_epmd_lookup(to->address, options->epmd_port, to->alive, options->deadline_ms, &to->port, error);
    if (status != EDR_OK) return status;
  }
  status = edr_socket_connect(to->address, to->port, options->deadline_ms, out_fd, &cause);
  switch (status) {
  case EDR_OK:
    return EDR_OK;
  case EDR_EREFUSED:
    if (options->port == 0) {
      return edr_error_set(error, EDR_ENODEDOWN, cause.sys_errno,
                           "epmd says that node %s listens on %s port %u, but nobody takes connections there (%s): has "
                           "it just stopped, or is a firewall between us?",
                           to->node, to->address, (unsigned)to->port, strerror(cause.sys_errno));
    }
    return edr_error_set(error, EDR_EREFUSED, cause.sys_errno,
                         "%s port %u takes no connections (%s): is that the port of node %s?", to->address,
                         (unsigned)to->port, strerror(cause.sys_errno), to->node);
  case EDR_ETIMEOUT:
    return edr_error_set(error, status, cause.sys_errno,
                         "node %s at %s port %u could not be reached in time: is a firewall between us?", to->node,
                         to->address, (unsigned)to->port);
  default:
    return edr_error_set(error, status, cause.sys_errno, "%s (looking for node %s)", cause.text, to->node);
  }
}

/* The same through ssh. Whether the node was reached shows in the handshake. */
static edr_status reach_by_ssh(const edr_dial_options *options, target *to, edr_transport *out_transport,
                               edr_error *error) {
  edr_status status = EDR_OK;
  if (to->port == 0) {
    status = edr_epmd_lookup_via(to->ssh, to->address, options->epmd_port, to->alive, options->deadline_ms, &to->port,
                                 error);
  }
  if (status != EDR_OK) return status;
  return edr_tunnel_open(to->ssh, to->address, to->port, options->deadline_ms, &out_transport->fd,
                         &out_transport->tunnel, error);
}

/* Begins TLS on the open connection. On failure it stays open for the caller to close. */
static edr_status begin_tls(const edr_dial_options *options, const target *to, wire *through, edr_error *error) {
  edr_error cause = {EDR_OK, 0, ""};
  const edr_status status = edr_tls_open(through->transport.fd, options->tls, to->host, options->deadline_ms,
                                         &through->transport.tls, &cause);
  if (status == EDR_OK) return EDR_OK;
  note_tunnel(through, status);
  if (through->cut_off) return say_cut_off(through->unreachable, through->reason, to, error);
  return edr_error_set(error, status == EDR_ENODEDOWN ? EDR_ETLS : status, cause.sys_errno,
                       "TLS with node %s at %s port %u: %s", to->node, to->address, (unsigned)to->port, cause.text);
}

edr_status edr_dial(const edr_dial_options *options, edr_dialed *out_dialed, edr_error *error) {
  target to = {0};
  wire through;
  char cookie[EDR_COOKIE_MAX + 1];
  int problem;
  edr_status status = check_names(options, &to, error);
  if (status != EDR_OK) return status;
  if ((problem = init_ei()) != 0) {
    return edr_error_set(error, problem == ENOMEM ? EDR_ENOMEM : EDR_ESYSTEM, problem,
                         "erl_interface could not be initialised: %s", strerror(problem));
  }
  status = edr_cookie_find(options->cookie, cookie, error);
  if (status != EDR_OK) return status;
  memset(&through, 0, sizeof through);
  through.deadline_ms = options->deadline_ms;
  edr_handshake_init(&through.handshake, to.node, options->name, cookie);
  through.transport = edr_transport_tcp(-1);
  through.length_size = options->tls != NULL ? TLS_LENGTH_SIZE : LENGTH_SIZE;
  status = to.ssh != NULL ? reach_by_ssh(options, &to, &through.transport, error)
                          : reach(options, &to, &through.transport.fd, error);
  if (status == EDR_OK && through.transport.fd >= ei_descriptors) {
    status = edr_error_set(error, EDR_ESYSTEM, EMFILE,
                           "descriptor %d: the limit on open files was raised after the "
                           "first connection, when it was %ld; raise it before",
                           through.transport.fd, ei_descriptors);
  }
  if (status == EDR_OK && options->tls != NULL) status = begin_tls(options, &to, &through, error);
  if (status == EDR_OK) {
    status = shake_hands(&to, options->name, &through, out_dialed, error);
  } else {
    edr_tunnel_kill(through.transport.tunnel);
    edr_transport_close(&through.transport);
  }
  OPENSSL_cleanse(cookie, sizeof cookie);
  return status;
}
