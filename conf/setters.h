/*
 * What the directives do with their values, and how they are dumped: the
 * functions of the table in directives.c. Pure.
 */
#ifndef CONF_SETTERS_H
#define CONF_SETTERS_H

#include "conf/directives.h"

/* Each reports what is wrong through use->errors, and then sets nothing. */
void setter_certificate(
    const struct directive *directive, const struct directive_use *use);
void setter_choice(
    const struct directive *directive, const struct directive_use *use);
void setter_cidrs(
    const struct directive *directive, const struct directive_use *use);
void setter_client_ca(
    const struct directive *directive, const struct directive_use *use);
void setter_control_socket(
    const struct directive *directive, const struct directive_use *use);
void setter_duration(
    const struct directive *directive, const struct directive_use *use);
void setter_greeting(
    const struct directive *directive, const struct directive_use *use);
void setter_key(
    const struct directive *directive, const struct directive_use *use);
void setter_listen(
    const struct directive *directive, const struct directive_use *use);
void setter_number(
    const struct directive *directive, const struct directive_use *use);
void setter_pam_service(
    const struct directive *directive, const struct directive_use *use);
void setter_path(
    const struct directive *directive, const struct directive_use *use);
void setter_prompt(
    const struct directive *directive, const struct directive_use *use);
void setter_rate(
    const struct directive *directive, const struct directive_use *use);
void setter_run_slots(
    const struct directive *directive, const struct directive_use *use);
void setter_user(
    const struct directive *directive, const struct directive_use *use);
void setter_virtual_user_account(
    const struct directive *directive, const struct directive_use *use);
void setter_words(
    const struct directive *directive, const struct directive_use *use);

/* Each writes whole lines, which its setter reads back. */
void dumper_choice(
    const struct directive *directive, const struct config *config, FILE *out);
void dumper_cidrs(
    const struct directive *directive, const struct config *config, FILE *out);
void dumper_control_socket(
    const struct directive *directive, const struct config *config, FILE *out);
void dumper_duration(
    const struct directive *directive, const struct config *config, FILE *out);
void dumper_listen(
    const struct directive *directive, const struct config *config, FILE *out);
void dumper_number(
    const struct directive *directive, const struct config *config, FILE *out);
void dumper_pairs(
    const struct directive *directive, const struct config *config, FILE *out);
void dumper_prompts(
    const struct directive *directive, const struct config *config, FILE *out);
void dumper_rate(
    const struct directive *directive, const struct config *config, FILE *out);
void dumper_string(
    const struct directive *directive, const struct config *config, FILE *out);
void dumper_words(
    const struct directive *directive, const struct config *config, FILE *out);

#endif
