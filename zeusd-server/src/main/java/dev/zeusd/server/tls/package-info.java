/** What TLS needs: certificates, keys, and who may issue the certificates of clients. */
package dev.zeusd.server.tls;
