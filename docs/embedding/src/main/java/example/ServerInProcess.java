package example;

import dev.zeusd.core.Node;
import dev.zeusd.server.ServerConfig;
import dev.zeusd.server.ZeusdServer;

class ServerInProcess {
  public static void main(String[] args) throws Exception {
    try (var node = Node.open();
        var server = ZeusdServer.start(node, ServerConfig.loopback(0))) {
      System.out.println("http://127.0.0.1:" + server.port() + "/gpu/get_power");
      System.in.read();
    }
  }
}
