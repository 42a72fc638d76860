package dev.zeusd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.core.rapl.RaplTree;
import dev.zeusd.ffm.fake.FakeAmdSmi;
import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.server.raw.RawResponse;
import dev.zeusd.testkit.nvml.FakeNvml;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A daemon on a machine with GPUs of three vendors, RAPL, and a sensor of the kernel's. */
@Timeout(120)
class AllKindsOfDevicesTest {
  private static final long JOULE = 1_000_000L;

  @TempDir private Path directory;

  private RawResponse get(String target) {
    try (RawConnection connection =
        RawConnection.open(UnixDomainSocketAddress.of(directory.resolve("zeusd.sock")))) {
      return connection.get(target);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private RawResponse post(String target) throws IOException {
    try (RawConnection connection =
        RawConnection.open(UnixDomainSocketAddress.of(directory.resolve("zeusd.sock")))) {
      return connection.send(RawConnection.request("POST", target)).readResponse();
    }
  }

  /** On a busy machine, a library takes its time to open. */
  private String awaitGpus(String ids) throws InterruptedException {
    String[] last = {""};
    Await.until(
        "GPUs " + ids,
        () -> {
          last[0] = get("/discover").body();
          return last[0].contains("\"gpu_ids\":" + ids);
        });
    return last[0];
  }

  /** A sensor of the kernel's: its files hold these texts. */
  private void chip(int number, Map<String, String> files) throws IOException {
    Path chip = directory.resolve("hwmon/hwmon" + number);
    for (Map.Entry<String, String> file : files.entrySet()) {
      Path path = chip.resolve(file.getKey());
      Files.createDirectories(path.getParent());
      Files.writeString(path, file.getValue() + "\n");
    }
  }

  private ZeusdProcess start(FakeNvml nvml, FakeAmdSmi amd, String... more) throws Exception {
    Map<String, String> environment = new HashMap<>(nvml.environment());
    environment.putAll(amd.environment());
    String[] args = {
      "serve",
      "--socket-path=" + directory.resolve("zeusd.sock"),
      "--state-dir=" + directory.resolve("state"),
      "--rapl-dir=" + directory.resolve("rapl"),
      "--hwmon-dir=" + directory.resolve("hwmon")
    };
    String[] all = new String[args.length + more.length];
    System.arraycopy(args, 0, all, 0, args.length);
    System.arraycopy(more, 0, all, args.length, more.length);
    ZeusdProcess zeusd = ZeusdProcess.start(directory, environment, all);
    zeusd.awaitListening();
    return zeusd;
  }

  @Test
  void allAreServedAtOnceAndOneOfEachThatFailsDisturbsNoOther() throws Exception {
    FakeNvml nvml = FakeNvml.create(directory.resolve("nvml")).deviceCount(2);
    FakeAmdSmi amd = FakeAmdSmi.create(directory.resolve("amd"));
    RaplTree rapl = new RaplTree(directory.resolve("rapl"));
    RaplTree.Zone zone = rapl.zone(0, "package-0");
    RaplTree.Zone other = rapl.zone(1, "package-1");
    zone.energy(5 * JOULE);
    other.energy(7 * JOULE);
    chip(0, Map.of("name", "nvme", "temp1_input", "40000"));
    Map<String, String> grace = Map.of("name", "power_meter", "device/power1_average", "123000000");
    Map<String, String> cpu = new HashMap<>(grace);
    cpu.put("device/power1_oem_info", "CPU Power Socket 0");
    chip(2, cpu);
    Map<String, String> module = new HashMap<>(grace);
    module.put("device/power1_oem_info", "Module Power Socket 0");
    chip(3, module);
    chip(4, Map.of("name", "xe", "energy1_input", "42000000"));
    try (ZeusdProcess zeusd = start(nvml, amd)) {
      String discovered = awaitGpus("[0,1,2,3,4]");
      for (String vendor : new String[] {"nvidia", "amd"}) {
        assertTrue(discovered.contains("\"vendor\":\"" + vendor + "\""), discovered);
      }
      assertTrue(
          discovered.contains("{\"id\":2,\"name\":\"AMD Fake Instinct\",\"vendor\":\"amd\","),
          discovered);
      assertTrue(
          discovered.contains("\"id\":4,\"name\":\"Intel GPU (xe)\",\"vendor\":\"intel\""),
          discovered);
      assertTrue(discovered.contains("\"cpu_ids\":[0,1,100,101]"), discovered);
      assertTrue(
          discovered.contains("{\"id\":101,\"dram_available\":false,\"domain\":\"module\"}"),
          discovered);

      get("/gpu/get_power?gpu_ids=0,1,2,3")
          .assertOkMatching(
              "\\{\"timestamp_ms\":\\d+,\"power_mw\":"
                  + "\\{\"0\":75000,\"1\":85000,\"2\":150000,\"3\":160000\\}\\}");
      assertEquals(200, get("/gpu/get_power").status());
      String power = get("/cpu/get_power").body();
      assertTrue(power.contains("\"100\":{\"cpu_mw\":123000,\"dram_mw\":null}"), power);
      assertTrue(!power.contains("\"101\""), "a module holds its CPU: " + power);
      assertTrue(
          get("/cpu/get_power?cpu_ids=101").body().contains("\"cpu_mw\":123000"), "by its id");

      assertEquals(
          200, post("/gpu/set_power_limit?gpu_ids=1,3&power_limit_mw=250000&block=true").status());
      assertEquals(250_000, nvml.gpu(1).powerLimitMw());
      assertEquals(250_000, amd.gpu(1).powerCapMw());

      theSumOfTopHasAModuleOnce(nvml);

      // One of each fails.
      nvml.gpu(0).allErrors(15);
      amd.gpu(0).allErrors(31);
      zone.remove();
      Files.delete(directory.resolve("hwmon/hwmon4/energy1_input"));
      RawResponse gpus = get("/gpu/get_power");
      assertEquals(500, gpus.status());
      assertTrue(gpus.body().contains("\"power_mw\":{\"1\":85000,\"3\":160000}"), gpus.body());
      for (String failing : new String[] {"\"0\":\"", "\"2\":\"", "\"4\":\""}) {
        assertTrue(gpus.body().contains(failing), gpus.body());
      }
      RawResponse energy = get("/cpu/get_cumulative_energy?cpu=true&dram=false");
      assertEquals(500, energy.status());
      assertTrue(energy.body().contains("\"1\":{\"cpu_energy_uj\":7000000"), energy.body());
      assertTrue(energy.body().contains("\"100\":{\"cpu_energy_uj\":"), energy.body());

      // And comes back.
      nvml.gpu(0).allErrors(0);
      amd.gpu(0).allErrors(0);
      Files.writeString(directory.resolve("hwmon/hwmon4/energy1_input"), "43000000\n");
      Await.until("all GPUs are back", () -> get("/gpu/get_power").status() == 200);
      assertTrue(zeusd.err().contains("2 GPU(s) by AMD SMI 26.2.0 from "), zeusd.err());
    }
  }

  /** Where a GPU tells the power of its module, that has the CPUs in it. */
  private void theSumOfTopHasAModuleOnce(FakeNvml nvml) {
    nvml.gpu(1).moduleScope(true).moduleExtraMw(200_000).instantPowerReturn(3);
    assertTrue(get("/gpu/get_power?gpu_ids=1").body().contains("\"1\":285000"));
    double gpuW = 0;
    double cpuW = 0;
    Said said = Said.by("top", "--once", "--connect", directory.resolve("zeusd.sock").toString());
    for (String line : said.out().lines().skip(2).toList()) {
      double watts = Double.parseDouble(line.substring(8, 18).replace("W", "").strip());
      gpuW += line.startsWith("GPU") ? watts : 0;
      cpuW += line.startsWith("CPU") ? watts : 0;
    }
    assertTrue(cpuW > 100, said.out());
    String sum = said.out().lines().findFirst().orElseThrow().replaceAll(".* devices, | W.*", "");
    assertEquals(gpuW, Double.parseDouble(sum.replace(",", "")), 0.3, said.out());
    nvml.gpu(1).moduleScope(false).instantPowerReturn(0);
  }

  @Test
  void withoutNvidiaAmdsGpusBeginAtZeroAndNothingIsMissing() throws Exception {
    FakeAmdSmi amd = FakeAmdSmi.create(directory.resolve("amd"));
    Map<String, String> environment = new HashMap<>(amd.environment());
    environment.put("LD_LIBRARY_PATH", "");
    try (ZeusdProcess zeusd =
        ZeusdProcess.start(
            directory,
            environment,
            "serve",
            "--enable=gpu-read",
            "--socket-path=" + directory.resolve("zeusd.sock"))) {
      zeusd.awaitListening();
      String discovered = awaitGpus("[0,1]");
      assertTrue(!discovered.contains("no GPUs"), discovered);
      assertTrue(zeusd.err().contains("2 GPU(s) by AMD SMI 26.2.0 from "), zeusd.err());
    }
  }

  @Test
  void amdsGpusAreAddedWhenTheirDriverComesAndInsistedOnIfAsked() throws Exception {
    FakeNvml nvml = FakeNvml.create(directory.resolve("nvml")).deviceCount(1);
    FakeAmdSmi amd = FakeAmdSmi.create(directory.resolve("amd")).driverUnloaded(true);
    try (ZeusdProcess zeusd = start(nvml, amd, "--enable=gpu-read")) {
      awaitGpus("[0]");
      Await.until(
          "it is told why there are no others",
          () -> get("/discover").body().contains("no AMD GPUs: opening AMD SMI: the amdgpu"));
      amd.driverUnloaded(false);
      awaitGpus("[0,1,2]");
      zeusd.awaitErr(Pattern.compile("GPUs are there now: \\[0, 1, 2\\]"));
    }
    amd.driverUnloaded(true);
    ZeusdProcess.assertInsists(
        () ->
            ZeusdProcess.start(
                directory,
                amd.environment(),
                "serve",
                "--enable=gpu-read",
                "--gpu-backend=amdsmi",
                "--socket-path=" + directory.resolve("zeusd.sock")),
        "AMD SMI is not usable: opening AMD SMI");
  }

  @Test
  void commandsOfTheConfigurationFileSetWhatTheDriverWould() throws Exception {
    FakeNvml nvml = FakeNvml.create(directory.resolve("nvml")).deviceCount(2);
    FakeAmdSmi amd = FakeAmdSmi.create(directory.resolve("amd"));
    Path told = directory.resolve("told");
    Path config =
        Files.writeString(
            directory.resolve("zeusd.toml"),
            """
            [gpu-command-overrides.set_power_limit]
            commands = ["/bin/sh -c 'echo $0 $1 $2 $3 $4 >>%s; test $0 != 3' \
              {gpu_id} {power_limit_w} {vendor} {vendor_index} {pci_address}"]
            """
                .formatted(told));
    try (ZeusdProcess zeusd = start(nvml, amd, "--enable=gpu-control", "--config=" + config)) {
      String limit = "/gpu/set_power_limit?power_limit_mw=250999&block=true&gpu_ids=";
      awaitGpus("[0,1,2,3]");
      assertEquals(200, post(limit + "1,2").status());
      // To AMD's tools its first GPU is 0, whoever else has GPUs.
      assertEquals(
          Set.of("1 250 nvidia 1 0000:27:00.0", "2 250 amd 0 0000:c1:00.0"),
          Set.copyOf(Files.readAllLines(told)));
      assertEquals(300_000, nvml.gpu(1).powerLimitMw(), "the driver was not asked");
      RawResponse refused = post("/gpu/set_power_limit?power_limit_mw=9&block=true&gpu_ids=1");
      assertEquals(400, refused.status());
      assertTrue(refused.body().contains("not within 100000 to 400000 mW"), refused.body());
      RawResponse failed = post(limit + "3");
      assertEquals(500, failed.status());
      assertTrue(failed.body().contains("the command /bin/sh ended with status 1"), failed.body());
      assertTrue(zeusd.err().contains("ended with status 1; its output: none"), zeusd.err());
    }
  }
}
