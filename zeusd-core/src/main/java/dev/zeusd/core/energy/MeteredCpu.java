package dev.zeusd.core.energy;

import dev.zeusd.core.device.Cpu;
import dev.zeusd.core.device.CpuInfo;
import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.EnergyReading;
import dev.zeusd.core.kernel.BootClock;
import dev.zeusd.core.worker.DeviceWorker;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import java.util.function.Supplier;

/** A CPU, and its DRAM, by their counters. */
final class MeteredCpu extends MeteredDevice {
  private static final String PREFIX = "cpu:";

  private final int id;
  private final Supplier<List<DeviceWorker<Cpu>>> cpus;
  private final Questions questions;
  private volatile Part cpu = new Part(new Tally(Tally.Kind.CPU_COUNTER));
  private volatile Part dram = new Part(new Tally(Tally.Kind.CPU_COUNTER));

  /** One counter. */
  private static final class Part {
    final Tally tally;

    /** Of the counter at its last reading by this process; negative before the first one. */
    private int resets = -1;

    Part(Tally tally) {
      this.tally = tally;
    }

    synchronized void add(EnergyReading reading, long readNanos) {
      boolean isWhole = resets < 0 ? reading.resets() == 0 : resets == reading.resets();
      resets = reading.resets();
      // What was added so that energy does not fall was used by nobody.
      tally.add(reading.countedUj(), readNanos, isWhole);
    }
  }

  private record Reading(EnergyReading cpu, Optional<EnergyReading> dram, long readNanos) {}

  /** What CPUs are asked: one object for all of them, so that readings are shared. */
  static final class Questions {
    private final Function<Cpu, Reading> energy;

    Questions(BootClock clock) {
      energy =
          cpu -> {
            EnergyReading own = cpu.cpuCounter().readToTell();
            return new Reading(own, dram(cpu), clock.nanos());
          };
    }

    private static Optional<EnergyReading> dram(Cpu cpu) {
      try {
        return cpu.dramCounter().map(counter -> counter.readToTell());
      } catch (DeviceException e) {
        // It is left out, as where it is not counted.
        return Optional.empty();
      }
    }
  }

  /** The CPU with this id; ids stay what they are until the machine is booted anew. */
  MeteredCpu(int id, Supplier<List<DeviceWorker<Cpu>>> cpus, Questions questions) {
    this.id = id;
    this.cpus = cpus;
    this.questions = questions;
  }

  static String keyOf(int id) {
    return PREFIX + id;
  }

  @Override
  String key() {
    return keyOf(id);
  }

  @Override
  int id() {
    return id;
  }

  @Override
  boolean isThere() {
    return find().isPresent();
  }

  @Override
  List<Tally> tallies() {
    return List.of(cpu.tally, dram.tally);
  }

  Tally cpuTally() {
    return cpu.tally;
  }

  Tally dramTally() {
    return dram.tally;
  }

  @Override
  List<Span> newSpans() {
    return List.of(new Span(this, 0, Optional.empty()), new Span(this, 1, Optional.empty()));
  }

  @Override
  void goOn(Tally.Kind kind, int place, Tally.State left) {
    Part part = new Part(new Tally(Tally.Kind.CPU_COUNTER, left));
    if (place == 0) {
      cpu = part;
    } else {
      dram = part;
    }
  }

  /** Which part of the machine it is; a package, where it is not there any more. */
  CpuInfo.Domain domain() {
    return find().map(each -> each.device().info().domain()).orElse(CpuInfo.Domain.PACKAGE);
  }

  private Optional<DeviceWorker<Cpu>> find() {
    return cpus.get().stream().filter(each -> each.id() == id).findFirst();
  }

  @Override
  boolean needsReads() {
    return true;
  }

  @Override
  CompletableFuture<?> begin() {
    DeviceWorker<Cpu> worker =
        find().orElseThrow(() -> new DeviceException.Failed("this CPU is not there any more"));
    return worker.share(questions.energy).thenAccept(this::add);
  }

  private void add(Reading reading) {
    cpu.add(reading.cpu, reading.readNanos);
    if (reading.dram.isPresent()) {
      dram.add(reading.dram.get(), reading.readNanos);
    } else {
      dram.tally.fail();
    }
  }
}
