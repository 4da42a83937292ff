/* The addresses that the C library finds for a name, one a line. */
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list, *one;
	char text[INET6_ADDRSTRLEN];

	if (argc != 2 || getaddrinfo(argv[1], 0, &hints, &list))
		return 2;
	for (one = list; one; one = one->ai_next) {
		const void *addr = one->ai_family == AF_INET
			? (const void *)&((struct sockaddr_in *)one->ai_addr)->sin_addr
			: (const void *)&((struct sockaddr_in6 *)one->ai_addr)->sin6_addr;
		puts(inet_ntop(one->ai_family, addr, text, sizeof text));
	}
	freeaddrinfo(list);
	return 0;
}
