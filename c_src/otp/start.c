/* SPDX-License-Identifier: Apache-2.0 */
/* The start of a whole node: the runtime, what every BEAM node expects of a
 * peer, and only then its registration. */
#include <tenon/node.h>

#include "base/error.h"
#include "node/node.h"
#include "otp/erpc.h"
#include "otp/global.h"
#include "otp/info.h"
#include "otp/io.h"
#include "otp/logger.h"
#include "otp/mesh.h"
#include "otp/metrics.h"
#include "otp/net_kernel.h"
#include "otp/pg.h"
#include "otp/rex.h"

static enum tenon_err start_services(tenon_node *node, tenon_error *err)
{
    enum tenon_err (*const steps[])(tenon_node *, tenon_error *) = {
        tn_erpc_add_entries, tn_rex_start,    tn_local_rpc_start,
        tn_net_kernel_start, tn_global_start, tn_mesh_start,
        tn_io_start,         tn_logger_start, tn_metrics_start,
        tn_info_start,       tn_node_publish,
    };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        enum tenon_err rc = steps[i](node, err);
        if (rc < 0) {
            return rc;
        }
    }
    return TENON_OK;
}

tenon_node *tenon_node_start_sized(const tenon_node_config *config, size_t size)
{
    tenon_node_config own;
    if (config == NULL) {
        return NULL;
    }
    if (tn_sized_copy(&own, sizeof own, config, size) < 0) {
        tn_error(size > sizeof own ? config->err : NULL, TENON_E_INVAL,
                 "start of a node: the configuration sets fields that this "
                 "library does not know");
        return NULL;
    }
    tenon_node *node = tn_node_start(&own);
    if (node == NULL) {
        return NULL;
    }
    if (tn_pg_attach(node, own.pg_scope, own.err) < 0 ||
        start_services(node, own.err) < 0) {
        tenon_node_stop(node);
        return NULL;
    }
    return node;
}
