package dev.zeusd.core.energy;

import dev.zeusd.core.device.CpuInfo;
import dev.zeusd.core.device.PowerScope;
import dev.zeusd.core.energy.WindowEnergy.Method;
import dev.zeusd.core.energy.WindowEnergy.OfCpu;
import dev.zeusd.core.energy.WindowEnergy.OfGpu;
import java.time.Duration;
import java.util.List;
import java.util.OptionalLong;
import java.util.StringJoiner;
import java.util.TreeMap;

/** What a window has told, as words of a file. Its name and its beginning are not among them. */
final class EnergyText {
  private static final String GPU = "gpu";
  private static final String CPU = "cpu";
  private static final String NO_GPU = "no-gpu";
  private static final String NO_CPU = "no-cpu";

  private EnergyText() {}

  static String of(WindowEnergy energy) {
    StringJoiner words = new StringJoiner(" ");
    words.add(Long.toString(energy.elapsed().toNanos()));
    energy.gpus().forEach((id, gpu) -> words.add(word(id, gpu)));
    energy.cpus().forEach((id, cpu) -> words.add(word(id, cpu)));
    energy
        .gpuProblems()
        .forEach((id, why) -> words.add(word(NO_GPU, id, SavedWindows.encode(why))));
    energy
        .cpuProblems()
        .forEach((id, why) -> words.add(word(NO_CPU, id, SavedWindows.encode(why))));
    return words.toString();
  }

  private static String word(int id, OfGpu gpu) {
    return word(
        GPU, id, gpu.energyMj(), gpu.method().name(), gpu.gapMs(), gpu.missingMs(), gpu.scope());
  }

  private static String word(int id, OfCpu cpu) {
    String dram =
        cpu.dramEnergyUj().isPresent()
            ? Long.toString(cpu.dramEnergyUj().getAsLong())
            : SavedWindows.NONE;
    return word(CPU, id, cpu.cpuEnergyUj(), dram, cpu.domain(), cpu.gapMs(), cpu.missingMs());
  }

  private static String word(Object... parts) {
    StringJoiner word = new StringJoiner(",");
    for (Object part : parts) {
      word.add(part.toString());
    }
    return word.toString();
  }

  /**
   * What {@link #of} has written.
   *
   * @throws IllegalArgumentException for anything else
   * @throws IndexOutOfBoundsException the same
   */
  static WindowEnergy parse(EnergyWindow.Facts window, List<String> words) {
    var gpus = new TreeMap<Integer, OfGpu>();
    var cpus = new TreeMap<Integer, OfCpu>();
    var gpuProblems = new TreeMap<Integer, String>();
    var cpuProblems = new TreeMap<Integer, String>();
    for (String word : words.subList(1, words.size())) {
      List<String> parts = List.of(word.split(",", -1));
      int id = Integer.parseInt(parts.get(1));
      switch (parts.get(0)) {
        case GPU -> gpus.put(id, gpu(parts));
        case CPU -> cpus.put(id, cpu(parts));
        case NO_GPU -> gpuProblems.put(id, SavedWindows.decode(parts.get(2)));
        case NO_CPU -> cpuProblems.put(id, SavedWindows.decode(parts.get(2)));
        default -> throw new IllegalArgumentException(word);
      }
    }
    Duration elapsed = Duration.ofNanos(Long.parseLong(words.get(0)));
    return new WindowEnergy(
        window.name(), window.startedMs(), elapsed, gpus, cpus, gpuProblems, cpuProblems);
  }

  private static OfGpu gpu(List<String> parts) {
    return new OfGpu(
        Long.parseLong(parts.get(2)),
        Method.valueOf(parts.get(3)),
        Long.parseLong(parts.get(4)),
        Long.parseLong(parts.get(5)),
        PowerScope.valueOf(parts.get(6)));
  }

  private static OfCpu cpu(List<String> parts) {
    String dram = parts.get(3);
    return new OfCpu(
        Long.parseLong(parts.get(2)),
        dram.equals(SavedWindows.NONE)
            ? OptionalLong.empty()
            : OptionalLong.of(Long.parseLong(dram)),
        CpuInfo.Domain.valueOf(parts.get(4)),
        Long.parseLong(parts.get(5)),
        Long.parseLong(parts.get(6)));
  }
}
