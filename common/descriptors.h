/*
 * The standard descriptors.
 */
#ifndef COMMON_DESCRIPTORS_H
#define COMMON_DESCRIPTORS_H

/*
 * Opens /dev/null in the place of those that the caller left closed, so that
 * no socket becomes what messages are written to. For the beginning of main();
 * any process. Does not block.
 */
void descriptors_fill_standard(void);

#endif
