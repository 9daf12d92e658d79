/* SPDX-License-Identifier: Apache-2.0 */
/* Tenon: a C process as a node of an Erlang/Elixir cluster. The one header
 * that a program includes; the reference is in the headers behind it. */
#ifndef TENON_H
#define TENON_H

#include <tenon/api.h>
#include <tenon/error.h>
#include <tenon/global.h>
#include <tenon/handlers.h>
#include <tenon/io.h>
#include <tenon/node.h>
#include <tenon/pg.h>
#include <tenon/process.h>
#include <tenon/route.h>
#include <tenon/rpc.h>
#include <tenon/scheduler.h>
#include <tenon/supervisor.h>
#include <tenon/task.h>
#include <tenon/telemetry.h>
#include <tenon/term.h>
#include <tenon/x3m.h>

#endif
