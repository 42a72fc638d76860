package example;

import dev.zeusd.core.Node;

class LimitForBlock {
  public static void main(String[] args) {
    try (var node = Node.open()) {
      var gpu = node.gpu(0);
      try (var limit = gpu.limitPower(200_000)) {
        System.out.println("by " + limit + ": " + gpu.powerLimitMw() + " mW");
      }
      System.out.println("after it: " + gpu.powerLimitMw() + " mW");
    }
  }
}
