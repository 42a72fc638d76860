/** Files of a privileged process in directories that it may share with strangers. */
package dev.zeusd.server.files;
