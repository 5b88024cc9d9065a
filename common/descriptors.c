/*
 * The standard descriptors. Any process.
 */
#include "common/descriptors.h"

#include <fcntl.h>
#include <unistd.h>

void
descriptors_fill_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		(void)close(fd);
}
