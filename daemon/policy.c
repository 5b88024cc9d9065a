/*
 * Whom the daemon lets change a password at all. Runs as root in the monitor's
 * forked child; sees a user name, never a password.
 */
#include "daemon/policy.h"

#include <sys/stat.h>
#include <errno.h>
#include <fnmatch.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/username.h"

/* Who asks to be admitted. */
struct subject {
	const struct config *config;
	const char *address;
	char user[WIRE_USER_SIZE]; /* as NSS spells it, if it knows it */
	int known;
	uid_t uid;
	gid_t gid;
};

enum verdict {
	VERDICT_FAILED = -1, /* NSS did not say */
	VERDICT_REFUSED,
	VERDICT_PASSED
};

static enum verdict
verdict_of(int passes)
{
	return passes ? VERDICT_PASSED : VERDICT_REFUSED;
}

/* getpwnam() sets errno to any of these for a name that is not there, see
 * its manual; getgrgid() as well. */
static int
errno_means_unknown(void)
{
	return errno == 0 || errno == ENOENT || errno == ESRCH ||
	    errno == EBADF || errno == EPERM;
}

static enum verdict
judge_deny_from(const struct subject *s)
{
	return verdict_of(!cidr_list_has(&s->config->deny_from, s->address));
}

static enum verdict
judge_allow_from(const struct subject *s)
{
	const struct cidr_list *list = &s->config->allow_from;

	return verdict_of(list->n == 0 || cidr_list_has(list, s->address));
}

static enum verdict
judge_username_domain(const struct subject *s)
{
	return verdict_of(username_is_allowed(s->config, s->user));
}

/* A virtual name reaches modules that make it part of a path (pam_faillock's
 * tally, say). */
static int
name_is_plausible(const char *name)
{
	if (*name == '\0' || *name == '-' || *name == '.')
		return 0;
	for (const char *p = name; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;

		if (c <= ' ' || c == 0x7f || c == '/' || c == ':')
			return 0;
	}
	return 1;
}

static enum verdict
judge_virtual_users(const struct subject *s)
{
	return verdict_of(s->known ||
	    (s->config->virtual_users && name_is_plausible(s->user)));
}

static enum verdict
judge_min_uid(const struct subject *s)
{
	return verdict_of(
	    !s->known || (s->uid != 0 && s->uid >= s->config->min_uid));
}

static int
matches(const struct word_list *list, const char *name, int flags)
{
	for (size_t i = 0; i < list->n; i++) {
		if (fnmatch(list->words[i], name, flags) == 0)
			return 1;
	}
	return 0;
}

/* Where only PAM knows a user, it may not mind the case either. */
static enum verdict
judge_deny_users(const struct subject *s)
{
	const int flags = s->known ? 0 : FNM_CASEFOLD;

	return verdict_of(!matches(&s->config->deny_users, s->user, flags));
}

static enum verdict
judge_allow_users(const struct subject *s)
{
	const struct word_list *list = &s->config->allow_users;

	return verdict_of(list->n == 0 || matches(list, s->user, 0));
}

/* Primary and supplementary ones; to free. NULL without memory. */
static gid_t *
groups_of(const struct subject *s, int *n)
{
	gid_t *groups = NULL;
	int room = 32;

	for (;;) {
		gid_t *more =
		    reallocarray(groups, (size_t)room, sizeof(*groups));

		if (more == NULL) {
			free(groups);
			return NULL;
		}
		groups = more;
		*n = room;
		if (getgrouplist(s->user, s->gid, groups, n) != -1)
			return groups;
		room = *n > room ? *n : 2 * room;
	}
}

/* 1, 0, or -1 if NSS failed: the user may be in one. */
static int
is_in_group_of(const struct subject *s, const struct word_list *list)
{
	int n, result = 0;
	gid_t *groups;

	if (!s->known || list->n == 0)
		return 0;
	groups = groups_of(s, &n);
	if (groups == NULL)
		return -1;
	for (int i = 0; result == 0 && i < n; i++) {
		const struct group *group;

		errno = 0;
		group = getgrgid(groups[i]);
		if (group != NULL)
			result = matches(list, group->gr_name, 0);
		else if (!errno_means_unknown())
			result = -1;
	}
	free(groups);
	return result;
}

static enum verdict
judge_deny_groups(const struct subject *s)
{
	const int is_in = is_in_group_of(s, &s->config->deny_groups);

	return is_in == -1 ? VERDICT_FAILED : verdict_of(!is_in);
}

static enum verdict
judge_allow_groups(const struct subject *s)
{
	const struct word_list *list = &s->config->allow_groups;
	const int is_in = is_in_group_of(s, list);

	return is_in == -1 ? VERDICT_FAILED : verdict_of(list->n == 0 || is_in);
}

struct rule {
	const char *directive;
	enum verdict (*judge)(const struct subject *subject);
};

/* In the order of sshd_config(5). All must pass, so that the order decides
 * nothing but which is named in the log. */
static const struct rule rules[] = {
	{ "deny-from", judge_deny_from },
	{ "allow-from", judge_allow_from },
	{ "username-domain", judge_username_domain },
	{ "virtual-users", judge_virtual_users },
	{ "min-uid", judge_min_uid },
	{ "deny-users", judge_deny_users },
	{ "allow-users", judge_allow_users },
	{ "deny-groups", judge_deny_groups },
	{ "allow-groups", judge_allow_groups },
};

static int
judge(const struct subject *s, struct policy_identity *identity)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
		switch (rules[i].judge(s)) {
		case VERDICT_FAILED:
			return -1;
		case VERDICT_REFUSED:
			identity->refused_by = rules[i].directive;
			return 0;
		case VERDICT_PASSED:
			break;
		}
	}
	identity->admitted = 1;
	return 0;
}

/* As whom the helper runs for a user without an account of its own. */
static int
set_virtual_account(struct subject *s)
{
	const struct passwd *pw;

	s->uid = geteuid();
	s->gid = getegid();
	if (geteuid() != 0)
		return 0;
	pw = getpwnam(s->config->virtual_user_account);
	if (pw == NULL)
		return -1;
	s->uid = pw->pw_uid;
	s->gid = pw->pw_gid;
	return 0;
}

static int
look_up(struct subject *s, const char *user)
{
	const struct passwd *pw;

	errno = 0;
	pw = getpwnam(user);
	if (pw == NULL) {
		if (!errno_means_unknown())
			return -1;
		wire_string_set(s->user, sizeof(s->user), user);
		return set_virtual_account(s);
	}
	/* Where NSS does not mind the case, no other spelling gets past a
	 * list. */
	wire_string_set(s->user, sizeof(s->user), pw->pw_name);
	s->known = 1;
	s->uid = pw->pw_uid;
	s->gid = pw->pw_gid;
	return 0;
}

int
policy_resolve(const struct config *config, const char *user,
    const char *address, struct policy_identity *identity)
{
	struct subject s = { .config = config, .address = address };

	memset(identity, 0, sizeof(*identity));
	if (look_up(&s, user) == -1)
		return -1;
	identity->known = s.known;
	identity->uid = s.uid;
	identity->gid = s.gid;
	return judge(&s, identity);
}

int
policy_wants_dac_override(const struct config *config)
{
	struct stat st;

	if (config->pam_dac_override != CONFIG_CHOICE_AUTO)
		return config->pam_dac_override == CONFIG_CHOICE_YES;
	if (stat("/etc/shadow", &st) == 0 && (st.st_mode & S_IRUSR) == 0)
		return 1;
	/* pam_faillock's tallies belong to the users, and it opens them as
	 * root. */
	return stat("/run/faillock", &st) == 0;
}
