/* SPDX-License-Identifier: Apache-2.0 */
/* Ready-made atoms as terms. */
#ifndef TN_NODE_ATOMS_H
#define TN_NODE_ATOMS_H

#include <tenon/term.h>

extern const tenon_term tn_atom_badarg;
extern const tenon_term tn_atom_badopt;
extern const tenon_term tn_atom_forbidden;
extern const tenon_term tn_atom_kill;
extern const tenon_term tn_atom_killed;
extern const tenon_term tn_atom_nil;
extern const tenon_term tn_atom_noconnection;
extern const tenon_term tn_atom_noproc;
extern const tenon_term tn_atom_normal;
extern const tenon_term tn_atom_notsup;
extern const tenon_term tn_atom_ok;
extern const tenon_term tn_atom_shutdown;
extern const tenon_term tn_atom_system_limit;
extern const tenon_term tn_atom_undef;

#endif
