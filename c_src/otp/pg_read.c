/* SPDX-License-Identifier: Apache-2.0 */
/* What a pg scope knows, as terms. */
#include "otp/pg_impl.h"

size_t tn_pg_entry_size(const struct tn_pg_entry *entry)
{
    struct tn_pg_member *member, *next;
    size_t size = 0;

    HASH_ITER(hh, entry->members, member, next)
    {
        size += member->count;
    }
    return size;
}

void tn_pg_build_pids(tenon_builder *out, const struct tn_pg_entry *entry)
{
    struct tn_pg_member *member, *next;

    HASH_ITER(hh, entry->members, member, next)
    {
        for (uint32_t i = 0; i < member->count; i++) {
            tenon_build_term(out, tn_pg_member_pid(member));
        }
    }
}

static bool counts(const struct tn_pg_entry *entry, enum tenon_pg_whose whose)
{
    return whose == TENON_PG_ALL || entry->owner->is_local;
}

static size_t count_members(const struct tn_pg_group *group,
                            enum tenon_pg_whose whose)
{
    struct tn_pg_entry *entry;
    size_t count = 0;

    LIST_FOREACH(entry, &group->entries, of_group)
    {
        count += counts(entry, whose) ? tn_pg_entry_size(entry) : 0;
    }
    return count;
}

static void build_group(const struct tn_pg_group *group,
                        enum tenon_pg_whose whose,
                        tenon_builder *out)
{
    struct tn_pg_entry *entry;

    tenon_build_list(out, count_members(group, whose));
    LIST_FOREACH(entry, &group->entries, of_group)
    {
        if (counts(entry, whose)) {
            tn_pg_build_pids(out, entry);
        }
    }
    tenon_build_nil(out);
}

enum tenon_err tn_pg_scope_members(const struct tn_pg_scope *scope,
                                   tenon_term name,
                                   enum tenon_pg_whose whose,
                                   tenon_builder *out)
{
    const struct tn_pg_group *group = tn_pg_group_find(&scope->groups, name);

    if (group == NULL) {
        return tenon_build_nil(out);
    }
    build_group(group, whose, out);
    return tenon_builder_error(out);
}

enum tenon_err tn_pg_scope_groups(const struct tn_pg_scope *scope,
                                  enum tenon_pg_whose whose,
                                  tenon_builder *out)
{
    struct tn_pg_entry *entry, *next_entry;
    struct tn_pg_group *group, *next;

    if (whose == TENON_PG_LOCAL) {
        tenon_build_list(out, HASH_COUNT(scope->local.entries));
        HASH_ITER(hh, scope->local.entries, entry, next_entry)
        {
            tenon_build_term(out, tn_pg_group_name(entry->group));
        }
    } else {
        tenon_build_list(out, HASH_COUNT(scope->groups.table));
        HASH_ITER(hh, scope->groups.table, group, next)
        {
            tenon_build_term(out, tn_pg_group_name(group));
        }
    }
    return tenon_build_nil(out);
}

enum tenon_err tn_pg_scope_all(const struct tn_pg_scope *scope,
                               tenon_builder *out)
{
    struct tn_pg_group *group, *next;

    tenon_build_map(out, HASH_COUNT(scope->groups.table));
    HASH_ITER(hh, scope->groups.table, group, next)
    {
        tenon_build_term(out, tn_pg_group_name(group));
        build_group(group, TENON_PG_ALL, out);
    }
    return tenon_builder_error(out);
}
