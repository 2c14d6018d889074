/* Inside the node only: what arrives. Looks at calls and monitors, and is called by the stream. */
#ifndef EDR_NODE_INCOMING_H
#define EDR_NODE_INCOMING_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"

typedef struct edr_node edr_node;

/* What the stream calls for each frame; `context` is the node. */
edr_status edr_node_on_frame(void *context, const uint8_t *frame, size_t size);

#endif
