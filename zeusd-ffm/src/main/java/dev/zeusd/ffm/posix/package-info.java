/**
 * What the system says of files and of this process, and the few calls of libc that Java has no
 * word for. Each call is linked when it is first needed, since that takes 5 ms for each new
 * signature.
 */
package dev.zeusd.ffm.posix;
