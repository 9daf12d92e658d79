/* SPDX-License-Identifier: Apache-2.0 */
/* How long a test waits for what must come. Nothing may depend on it but the
 * end of a test that hangs: a loaded machine may be very slow. */
#ifndef TN_TEST_DEADLINE_H
#define TN_TEST_DEADLINE_H

#define DEADLINE_MS 120000u

#endif
