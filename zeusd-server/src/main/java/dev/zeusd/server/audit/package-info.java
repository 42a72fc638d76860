/** The log of who has changed what, and who was refused. */
package dev.zeusd.server.audit;
