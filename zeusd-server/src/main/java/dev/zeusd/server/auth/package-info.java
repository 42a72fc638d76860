/** Tokens: issued on the command line, checked with every request. */
package dev.zeusd.server.auth;
