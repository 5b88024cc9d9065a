/*
 * Old password schemes: plain text, and digests with or without a salt. Only to
 * check a password, never to store one. Any process that loads the module;
 * pure.
 */
#ifndef PAM_PASSWD_FILE_DIGEST_H
#define PAM_PASSWD_FILE_DIGEST_H

enum digest_encoding {
	DIGEST_BY_SCHEME, /* as is usual for the scheme */
	DIGEST_AS_IS,
	DIGEST_BY_LENGTH, /* hex if it is twice the digest's, else base64 */
	DIGEST_BASE64,
	DIGEST_HEX
};

/*
 * Does the password have this digest (OpenSSL's name; NULL: data is the
 * password itself), with the salt behind it if is_salted? What cannot be
 * decoded matches nothing. Compares in constant time.
 */
int digest_verify(const char *digest, int is_salted,
    enum digest_encoding encoding, const char *data, const char *password);

#endif
