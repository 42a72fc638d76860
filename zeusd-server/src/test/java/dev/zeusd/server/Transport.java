package dev.zeusd.server;

/** The two ways to the server, which differ in nothing else. */
enum Transport {
  TCP,
  UDS
}
