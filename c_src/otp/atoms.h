/* SPDX-License-Identifier: Apache-2.0 */
/* Ready-made terms that gen_server, rpc and their like send. */
#ifndef TN_OTP_ATOMS_H
#define TN_OTP_ATOMS_H

#include <tenon/term.h>

extern const tenon_term tn_atom_bad_return_value;
extern const tenon_term tn_atom_gen_cast; /* '$gen_cast' */
extern const tenon_term tn_atom_rex;
extern const tenon_term tn_atom_yes;
extern const tenon_term tn_empty_list;
/* {badrpc, {'EXIT', system_limit}} */
extern const tenon_term tn_badrpc_system_limit;

#endif
