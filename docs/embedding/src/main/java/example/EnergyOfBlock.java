package example;

import dev.zeusd.core.Node;

class EnergyOfBlock {
  public static void main(String[] args) throws InterruptedException {
    try (var node = Node.open()) {
      var used = node.energyOf(() -> Thread.sleep(1000));
      used.gpus()
          .forEach((id, gpu) -> System.out.println("GPU " + id + ": " + gpu.joules() + " J"));
      System.out.println("together: " + used.totalJoules() + " J in " + used.elapsed());
    }
  }
}
