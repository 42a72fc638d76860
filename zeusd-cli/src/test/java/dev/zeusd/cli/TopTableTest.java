package dev.zeusd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.zeusd.cli.DaemonState.Device;
import dev.zeusd.cli.DaemonState.Kind;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The table of {@code zeusd top}, of devices made up here. */
class TopTableTest {
  private static Device device(Kind kind, double powerW, double energyJ, boolean ofModule) {
    return new Device(
        "node1",
        kind,
        0,
        "",
        OptionalDouble.of(powerW),
        OptionalDouble.empty(),
        OptionalDouble.of(energyJ),
        OptionalInt.empty(),
        OptionalInt.empty(),
        OptionalInt.empty(),
        ofModule,
        "",
        new double[] {powerW});
  }

  /** The power of a module (GH200) has its CPU in it. */
  @ParameterizedTest
  @CsvSource({"false, '600.0 W, 66.0 J'", "true, '500.0 W, 50.0 J'"})
  void countsNothingTwice(boolean ofModule, String sum) {
    List<Device> devices =
        List.of(
            device(Kind.GPU, 500, 50, ofModule),
            device(Kind.CPU, 80, 10, false),
            device(Kind.DRAM, 20, 6, false));
    DaemonState state = new DaemonState("node1", devices, Optional.empty());
    assertEquals("node1: 3 devices, " + sum, TopTable.summary(state));
  }
}
