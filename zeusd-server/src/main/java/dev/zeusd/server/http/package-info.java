/** The endpoints and what they share: parameters, errors, streams, and the JSON on the wire. */
package dev.zeusd.server.http;
