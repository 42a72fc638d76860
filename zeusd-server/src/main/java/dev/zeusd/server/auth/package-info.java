/** Who may do what: tokens, which are issued and taken back on the command line, and grants. */
package dev.zeusd.server.auth;
