/* SPDX-License-Identifier: Apache-2.0 */
/* Events that the node's user writes to the node's log. */
#include <stdarg.h>

#include <tenon/node.h>

#include "node/node.h"

static enum tn_level level_of(enum tenon_log_level level)
{
    switch (level) {
    case TENON_LOG_DEBUG:
        return TN_DEBUG;
    case TENON_LOG_WARNING:
        return TN_WARN;
    case TENON_LOG_ERROR:
        return TN_ERROR;
    case TENON_LOG_DEFAULT:
    case TENON_LOG_INFO:
    case TENON_LOG_NONE:
        break;
    }
    return TN_INFO;
}

void tenon_node_log(tenon_node *node,
                    enum tenon_log_level level,
                    const char *event,
                    ...)
{
    va_list pairs;

    if (node == NULL || event == NULL || level == TENON_LOG_NONE) {
        return;
    }
    va_start(pairs, event);
    tn_log_va(&node->log, level_of(level), event, pairs);
    va_end(pairs);
}
