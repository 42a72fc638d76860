package example;

import static java.time.Duration.ofMinutes;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.zeusd.testkit.SimulatedDevices;
import dev.zeusd.testkit.TestClock;
import org.junit.jupiter.api.Test;

class DeterministicTest {
  @Test
  void aMinuteTakesTheSameEnergyEachTime() {
    var clock = new TestClock();
    try (var node = SimulatedDevices.node(clock, 42)) {
      assertEquals(121738.750495, node.energyOf(() -> clock.advance(ofMinutes(1))).totalJoules());
    }
  }
}
