package dev.zeusd.server.http;

import static dev.zeusd.server.ApiGroup.CPU_READ;

import dev.zeusd.core.Node;
import dev.zeusd.core.device.Cpu;
import dev.zeusd.core.device.CpuEnergy;
import dev.zeusd.core.sampling.CpuPowerSample;
import dev.zeusd.server.http.FanOut.Outcome;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import java.util.Collection;
import java.util.OptionalLong;
import java.util.Set;
import java.util.function.Function;

/** The group cpu-read. */
public final class CpuReadService {
  private static final String CPU_IDS = "cpu_ids";

  private final Node node;
  private final DevicesById<Cpu> cpus;

  /** Reads the CPU packages of {@code node}. */
  public CpuReadService(Node node) {
    this.node = node;
    this.cpus = DevicesById.cpus(node);
  }

  /** Registers the endpoints. */
  public void addTo(Routes routes) {
    routes.get(
        CPU_READ,
        "/cpu/get_power",
        (request, response, requester) -> {
          Collection<Integer> wanted =
              cpus.wanted(Query.of(request, Set.of(CPU_IDS)), CPU_IDS, requester);
          Outcome<CpuPowerSample> power = FanOut.all(wanted, node.cpuPower()::read);
          byte[] json = power.json(samples -> WireJson.cpuPower(samples.values()));
          Routes.sendJson(request, response, json);
        });
    routes.get(CPU_READ, "/cpu/get_cumulative_energy", this::energy);
  }

  /** What was asked of a package's energy. */
  record Energy(OptionalLong cpuUj, OptionalLong dramUj) {}

  private void energy(ServerRequest request, ServerResponse response, Requester requester) {
    Query query = Query.of(request, Set.of(CPU_IDS, "cpu", "dram"));
    Collection<Integer> wanted = cpus.wanted(query, CPU_IDS, requester);
    Counters counters = Counters.of(query.bool("cpu"), query.bool("dram"));
    Outcome<Energy> energies = FanOut.all(wanted, id -> cpus.get(id).share(counters));
    Routes.sendJson(request, response, energies.json(WireJson::cpuEnergy));
  }

  /** What may be asked for: one object each, so that those who ask for the same share a read. */
  private enum Counters implements Function<Cpu, Energy> {
    NONE {
      @Override
      public Energy apply(Cpu cpu) {
        return new Energy(OptionalLong.empty(), OptionalLong.empty());
      }
    },
    CPU {
      @Override
      public Energy apply(Cpu cpu) {
        return new Energy(OptionalLong.of(cpu.cpuEnergyUj()), OptionalLong.empty());
      }
    },
    DRAM {
      @Override
      public Energy apply(Cpu cpu) {
        return new Energy(OptionalLong.empty(), cpu.dramEnergyUj());
      }
    },
    BOTH {
      @Override
      public Energy apply(Cpu cpu) {
        CpuEnergy both = cpu.energy();
        return new Energy(OptionalLong.of(both.cpuEnergyUj()), both.dramEnergyUj());
      }
    };

    static Counters of(boolean cpu, boolean dram) {
      if (cpu) {
        return dram ? BOTH : CPU;
      }
      return dram ? DRAM : NONE;
    }
  }
}
