/* The files that the program carries: made by embed.lua, read by main.c. */
#ifndef EDR_STANDALONE_EMBEDDED_H
#define EDR_STANDALONE_EMBEDDED_H

#include <stddef.h>

typedef struct {
  const char *name; /* as "edeliver/relup/init.lua" */
  const char *text;
  size_t size;
} edr_embedded_file;

/* Ends with a name that is NULL. */
extern const edr_embedded_file edr_embedded[];

#endif
