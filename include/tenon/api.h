/* SPDX-License-Identifier: Apache-2.0 */
/* Marks of the public functions: visibility, unused results, lists that
 * end in NULL. Holds no types. */
#ifndef TENON_API_H
#define TENON_API_H

#if defined(__GNUC__)
#define TENON_API __attribute__((visibility("default")))
#define TENON_CHECK __attribute__((warn_unused_result))
#define TENON_NULL_LAST __attribute__((sentinel))
#else
#define TENON_API
#define TENON_CHECK
#define TENON_NULL_LAST
#endif

#define TENON_VERSION_MAJOR 0
#define TENON_VERSION_MINOR 1
#define TENON_VERSION_PATCH 0
#define TENON_VERSION_STRING "0.1.0"

#endif
