module example {
  requires dev.zeusd.core;
  requires dev.zeusd.server;
}
