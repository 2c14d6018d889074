/* The tar reader: entries of each format, in pieces of each size; and each archive that it refuses, with where and why.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "tar.h"

/* Appends a header, with the checksum that it needs, and the content, padded. */
static void put(edr_buf *archive, const char *name, char type, const char *link, const char *content, size_t size) {
  static const uint8_t zeros[EDR_TAR_BLOCK];
  char block[EDR_TAR_BLOCK] = {0}, octal[24];
  unsigned sum = 0;

  snprintf(block, 100, "%s", name);
  memcpy(block + 100, "0000644", 7);
  snprintf(octal, sizeof octal, "%011zo", size);
  memcpy(block + 124, octal, 11);
  memset(block + 148, ' ', 8);
  block[156] = type;
  snprintf(block + 157, 100, "%s", link);
  memcpy(block + 257, "ustar\00000", 8);
  for (size_t i = 0; i < sizeof block; i++) sum += (uint8_t)block[i];
  snprintf(block + 148, 8, "%06o", sum);
  edr_buf_append(archive, block, sizeof block);
  edr_buf_append(archive, content, size);
  edr_buf_append(archive, zeros, (EDR_TAR_BLOCK - size % EDR_TAR_BLOCK) % EDR_TAR_BLOCK);
}

static void put_text(edr_buf *archive, const char *name, char type, const char *text) {
  put(archive, name, type, "", text, strlen(text));
}

static void put_end(edr_buf *archive) {
  static const uint8_t zeros[2 * EDR_TAR_BLOCK];
  edr_buf_append(archive, zeros, sizeof zeros);
}

/* What is read, as text: "kind name>target size mode:content;" for each entry, "end" at the end, or "!" and the
 * problem. */
static void read_all(const edr_buf *archive, size_t piece, const edr_tar_limits *limits, char *out, size_t out_size) {
  edr_status status = EDR_EAGAIN;
  size_t at = 0, used_text = 0;
  edr_tar tar;

  edr_tar_init(&tar, limits, 1234567);
  out[0] = '\0';
  while (at < archive->size) {
    const size_t step = piece < archive->size - at ? piece : archive->size - at;
    size_t used = 0, size = 0;
    edr_tar_event event = EDR_TAR_END;
    edr_tar_entry entry = {.name = ""};
    status = edr_tar_next(&tar, archive->data + at, step, &used, &event, &entry, &size);
    if (status == EDR_EAGAIN) CHECK(used == step);
    if (status != EDR_OK && status != EDR_EAGAIN) break;
    at += used;
    if (status == EDR_EAGAIN) continue;
    if (event == EDR_TAR_ENTRY)
      used_text += (size_t)snprintf(out + used_text, out_size - used_text, ";%c %s>%s %llu %o:", "fdlh"[entry.kind],
                                    entry.name, entry.target, (unsigned long long)entry.size, (unsigned)entry.mode);
    if (event == EDR_TAR_DATA)
      used_text += (size_t)snprintf(out + used_text, out_size - used_text, "%.*s", (int)size,
                                    (const char *)archive->data + at - size);
    if (event == EDR_TAR_END) used_text += (size_t)snprintf(out + used_text, out_size - used_text, ";end");
  }
  if (status != EDR_OK && status != EDR_EAGAIN) {
    snprintf(out + used_text, out_size - used_text, ";!%s@%llu", tar.problem, (unsigned long long)tar.offset);
    CHECK(edr_tar_next(&tar, archive->data, 1, &at, NULL, NULL, NULL) == EDR_EPROTOCOL); /* it stays so */
  }
  edr_tar_deinit(&tar);
  edr_tar_deinit(&tar);
}

static void check_reads(const edr_buf *archive, const char *wanted) {
  static const size_t pieces[] = {1, 7, 511, 512, 513, 100000};
  static char found[20000];
  for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
    read_all(archive, pieces[i], NULL, found, sizeof found);
    if (strcmp(found, wanted) != 0) fprintf(stderr, "in pieces of %zu:\n%s\nwanted:\n%s\n", pieces[i], found, wanted);
    CHECK(strcmp(found, wanted) == 0);
  }
}

static void test_entries(void) {
  edr_buf archive;
  edr_buf_init(&archive);
  put(&archive, "./", '5', "", "", 0);
  put(&archive, "./lib/", '5', "", "", 0);
  put_text(&archive, "lib/./a//b", '0', "hello");
  put_text(&archive, "empty", '\0', "");
  put(&archive, "old/", '0', "", "", 0); /* a folder before ustar */
  put(&archive, "lib/link", '2', "../lib/a/b", "", 0);
  put(&archive, "hard", '1', "./lib/a/b", "", 0);
  put(&archive, "lib", '5', "", "", 0); /* folders may be there twice */
  put_end(&archive);
  edr_buf_append(&archive, "trailing bytes are nothing", 20);
  check_reads(&archive,
              ";d lib> 0 644:;f lib/a/b> 5 644:hello;f empty> 0 644:;d old> 0 644:;l lib/link>../lib/a/b 0 644:"
              ";h hard>lib/a/b 0 644:;d lib> 0 644:;end");
  edr_buf_deinit(&archive);
}

static void test_long_names(void) {
  char name[301] = {0}, record[400], wanted[1000];
  edr_buf archive;

  edr_buf_init(&archive);
  memset(name, 'n', 300);
  put(&archive, "././@LongLink", 'L', "", name, 301);
  put_text(&archive, "short", '0', "one");
  put_text(&archive, "short", '0', "two"); /* the long name was the last entry's alone */
  snprintf(record, sizeof record, "310 path=%.*s\n", 300, name);
  name[0] = 'x';
  memcpy(record + 9, name, 300);
  put(&archive, "pax", 'x', "", record, 310);
  put_text(&archive, "short", '0', "three");
  put_text(&archive, "pax", 'x', "20 ignored=whatever\n24 linkpath=../a/target\n");
  put(&archive, "b/l", '2', "ignored", "", 0);
  put_text(&archive, "pax", 'g', "13 path=bad!\n");
  put_text(&archive, "pax", 'x', "10 size=4\n");
  put(&archive, "sized", '0', "", "four", 4);
  put_end(&archive);
  name[0] = 'n';
  snprintf(wanted, sizeof wanted,
           ";f %.300s> 3 644:one;f short> 3 644:two;f x%.299s> 5 644:three;l b/l>../a/target 0 644:"
           ";f sized> 4 644:four;end",
           name, name + 1);
  check_reads(&archive, wanted);
  edr_buf_deinit(&archive);
}

/* GNU's binary sizes, and ustar's prefix. */
static void test_fields(void) {
  edr_buf archive;
  unsigned sum = 0;
  edr_buf_init(&archive);
  put_text(&archive, "name", '0', "abc");
  memcpy(archive.data + 345, "a/prefix", 8);
  memcpy(archive.data + 124, "\x80\0\0\0\0\0\0\0\0\0\0\3", 12);
  memset(archive.data + 148, ' ', 8);
  for (size_t i = 0; i < EDR_TAR_BLOCK; i++) sum += archive.data[i];
  snprintf((char *)archive.data + 148, 8, "%06o", sum);
  put_end(&archive);
  check_reads(&archive, ";f a/prefix/name> 3 644:abc;end");
  edr_buf_deinit(&archive);
}

/* An archive of an entry that is fine, and one that is not. */
static void refused(const char *name, char type, const char *link, const char *problem) {
  char wanted[300];
  edr_buf archive;
  edr_buf_init(&archive);
  put_text(&archive, "d/file", '0', "");
  put(&archive, "d/up", '2', "../d", "", 0);
  put(&archive, name, type, link, "", 0);
  put_end(&archive);
  snprintf(wanted, sizeof wanted, ";f d/file> 0 644:;l d/up>../d 0 644:;!%s@1536", problem);
  check_reads(&archive, wanted);
  edr_buf_deinit(&archive);
}

static void test_refusals(void) {
  refused("/etc/passwd", '0', "", "an absolute name");
  refused("../x", '0', "", "a name that leaves the archive");
  refused("a/../x", '0', "", "a name that leaves the archive");
  refused("a/..", '5', "", "a name that leaves the archive");
  refused("d/file", '0', "", "a name that is there twice");
  refused("d/./file", '0', "", "a name that is there twice");
  refused("d", '0', "", "a name that is there twice"); /* it was implied */
  refused("d", '2', "x", "a name that is there twice");
  refused("d/up", '5', "", "a name that is there twice");
  refused("d/up/x", '0', "", "a name that leads through a link");
  refused("d/file/x", '0', "", "a name that leads through a file");
  refused("l", '2', "/etc", "a link that leads out of the archive");
  refused("l", '2', "../x", "a link that leads out of the archive");
  refused("d/l", '2', "../../x", "a link that leads out of the archive");
  refused("d/l", '2', "up/../../x", "a link that leads out of the archive");
  refused("l", '2', "", "a link that leads out of the archive");
  refused("h", '1', "d/none", "a hard link to what is no file before it");
  refused("h", '1', "d/up", "a hard link to what is no file before it");
  refused("h", '1', "../x", "a name that leaves the archive");
  refused("dev", '3', "", "an entry that is no file, folder or link");
  refused("pipe", '6', "", "an entry that is no file, folder or link");
  refused("sparse", 'S', "", "an entry that is no file, folder or link");
  refused("", '0', "", "an entry without a name");
}

static void test_bad_headers(void) {
  static char found[2000];
  const edr_tar_limits small = {.max_file = 10, .max_entries = 2, .max_metadata = 20};
  edr_buf archive;

  edr_buf_init(&archive);
  put_text(&archive, "a", '0', "abc");
  archive.data[0] ^= 1;
  check_reads(&archive, ";!no header of an entry is here@512");
  edr_buf_clear(&archive);
  put_text(&archive, "p", 'x', "9 path=b\n"); /* 9 is right */
  put_text(&archive, "p", 'x', "99 path=b\n");
  check_reads(&archive, ";!a damaged pax header@1546");
  edr_buf_clear(&archive);
  put_text(&archive, "p", 'x', "26 size=99999999999999999\n"); /* 17 digits: fits, and is too large */
  put_text(&archive, "a", '0', "");
  check_reads(&archive, ";!a file that is too large@1536");
  edr_buf_clear(&archive);
  put_text(&archive, "p", 'x', "33 size=999999999999999999999999\n");
  check_reads(&archive, ";!an impossible size in a pax header@545");
  edr_buf_clear(&archive);
  put_text(&archive, "p", 'x', "24 GNU.sparse.major=1.0\n");
  check_reads(&archive, ";!a sparse file@536");
  edr_buf_clear(&archive);
  put_text(&archive, "p", 'x', "123456789012345678901234567890");
  read_all(&archive, 1000, &small, found, sizeof found);
  CHECK(strcmp(found, ";!a header that is too large@512") == 0);
  edr_buf_clear(&archive);
  put_text(&archive, "a", '0', "12345678901");
  read_all(&archive, 1000, &small, found, sizeof found);
  CHECK(strcmp(found, ";!a file that is too large@512") == 0);
  edr_buf_clear(&archive);
  put_text(&archive, "a/b/c", '0', "");
  read_all(&archive, 1000, &small, found, sizeof found);
  CHECK(strcmp(found, ";!the archive has too many entries@512") == 0);
  edr_buf_deinit(&archive);
}

/* As many names as make the table grow. */
static void test_many(void) {
  char name[30];
  size_t entries = 0, at = 0, used, size;
  edr_tar_event event = EDR_TAR_ENTRY;
  edr_tar_entry entry;
  edr_buf archive;
  edr_tar tar;

  edr_buf_init(&archive);
  for (int i = 0; i < 5000; i++) {
    snprintf(name, sizeof name, "d%d/f%d", i % 100, i);
    put_text(&archive, name, '0', "");
  }
  put_end(&archive);
  edr_tar_init(&tar, NULL, 1);
  while (event != EDR_TAR_END) {
    if (edr_tar_next(&tar, archive.data + at, archive.size - at, &used, &event, &entry, &size) != EDR_OK) break;
    at += used;
    entries += event == EDR_TAR_ENTRY;
  }
  CHECK(event == EDR_TAR_END && entries == 5000 && tar.known_count == 5100);
  edr_tar_deinit(&tar);
  edr_buf_deinit(&archive);
}

int main(void) {
  test_entries();
  test_long_names();
  test_fields();
  test_refusals();
  test_bad_headers();
  test_many();
  return check_done();
}
