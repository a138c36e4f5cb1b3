/* Copies the samples that begin with "ERROR" into the map "errors", and stops the drain at a sample "stop". */
#include "ringbuf.h"

#define MAX_SAMPLE 65536
#define ENOSPC 28

static char buffer[MAX_SAMPLE];
static const char target[] = "errors";

void *sample_buffer(void) {
  return buffer;
}

uint32_t sample_buffer_size(void) {
  return sizeof(buffer);
}

static int begins_with(const char *sample, uint32_t len, const char *prefix) {
  uint32_t at = 0;
  for (; prefix[at] != '\0'; at++)
    if (at >= len || sample[at] != prefix[at]) return 0;
  return 1;
}

int32_t on_sample(const char *sample, uint32_t len) {
  static const char full[] = "the map \"errors\" has no room: an error is lost";

  if (begins_with(sample, len, "ERROR") && ringbuf_emit(target, sizeof(target) - 1, sample, len) == -ENOSPC)
    ringbuf_log(RINGBUF_WARN, full, sizeof(full) - 1);
  return len == 4 && begins_with(sample, len, "stop") ? RINGBUF_STOP : RINGBUF_GO_ON;
}
