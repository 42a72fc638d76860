package example;

import dev.zeusd.core.Node;

class PrintPower {
  public static void main(String[] args) {
    try (var node = Node.open()) {
      for (var gpu : node.eachGpu()) {
        System.out.println(gpu.id() + " " + gpu.info().name() + ": " + gpu.powerMw() + " mW");
      }
    }
  }
}
