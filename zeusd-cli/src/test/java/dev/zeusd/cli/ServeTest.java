package dev.zeusd.cli;

import static java.nio.file.LinkOption.NOFOLLOW_LINKS;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.zeusd.core.Metronome;
import dev.zeusd.core.rapl.RaplTree;
import dev.zeusd.server.raw.EventStream;
import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.server.raw.RawResponse;
import dev.zeusd.testkit.nvml.FakeNvml;
import dev.zeusd.testkit.nvml.FakeNvmlLibrary;
import java.io.File;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.SocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The daemon as a process: how it starts, why it does not, and how it ends. */
class ServeTest {
  private static final String[] TCP = {
    "serve", "--enable", "gpu-read", "--mode", "tcp", "--tcp-bind-address", "127.0.0.1:0"
  };

  @TempDir private Path directory;

  private Path socket;
  private FakeNvml nvml;

  @BeforeEach
  void setUp() {
    socket = directory.resolve("zeusd.sock");
    nvml = FakeNvml.create(directory.resolve("nvml"));
  }

  private ZeusdProcess start(String... args) throws IOException {
    return ZeusdProcess.start(directory, nvml.environment(), args);
  }

  private ZeusdProcess startAtSocket(String... more) throws IOException {
    List<String> args = new ArrayList<>(List.of("serve", "--enable", "gpu-read"));
    args.addAll(List.of("--socket-path", socket.toString()));
    args.addAll(List.of(more));
    return start(args.toArray(String[]::new));
  }

  private static RawResponse get(SocketAddress address, String target) throws IOException {
    try (RawConnection connection = RawConnection.open(address)) {
      return connection.get(target);
    }
  }

  private static SocketAddress loopback(int port) {
    return new InetSocketAddress("127.0.0.1", port);
  }

  @ParameterizedTest
  @CsvSource({"TERM, uds", "INT, uds", "TERM, tcp", "INT, tcp"})
  void aSignalStopsItWithStreamsOpen(String signal, String mode) throws Exception {
    // Inherited by the daemon, which keeps to it: a shell's way with what it runs in the
    // background.
    assumeFalse(signal.equals("INT") && ZeusdProcess.ignoresSignal(2), "SIGINT is ignored");
    try (ZeusdProcess zeusd = mode.equals("uds") ? startAtSocket() : start(TCP)) {
      String where = zeusd.awaitListening();
      SocketAddress address =
          mode.equals("uds")
              ? UnixDomainSocketAddress.of(where)
              : loopback(Integer.parseInt(where));
      nvml.gpu(1).countingPower(0);
      try (RawConnection idle = RawConnection.open(address);
          RawConnection stuck = RawConnection.openWithSmallBuffer(address);
          EventStream samples = RawConnection.open(address).stream("/gpu/stream_power?gpu_ids=0");
          EventStream busy = RawConnection.open(address).stream("/gpu/stream_power")) {
        idle.get("/time");
        stuck.send(RawConnection.request("GET", "/gpu/stream_power"));
        samples.nextSample();
        busy.nextSample();
        try (Metronome metronome = new Metronome()) {
          zeusd.signal(signal);
          assertEquals(0, zeusd.awaitExit(), zeusd::toString);
          long tookMs = metronome.beats();
          System.out.println("SIG" + signal + ", " + mode + ": gone after " + tookMs + " ms");
          // A second is asked for; the rest is for a busy machine.
          assertTrue(tookMs < 5000, () -> "took " + tookMs + " ms");
        }
        samples.assertEndsProperly();
        busy.assertEndsProperly();
      }
      assertFalse(Files.exists(socket, NOFOLLOW_LINKS), "the socket is still there");
      assertEquals("", zeusd.out());
    }
  }

  @Test
  void serves() throws Exception {
    try (ZeusdProcess zeusd =
        startAtSocket("--socket-permissions", "640", "--stream-format", "snapshot")) {
      SocketAddress address = UnixDomainSocketAddress.of(zeusd.awaitListening());
      assertEquals(
          "rw-r-----", PosixFilePermissions.toString(Files.getPosixFilePermissions(socket)));
      get(address, "/gpu/get_power_limit?gpu_ids=3")
          .assertOk("{\"3\":{\"power_limit_mw\":300000}}");
      assertTrue(
          get(address, "/discover").body().contains("\"enabled_api_groups\":[\"gpu-read\"]"));
      try (EventStream stream = RawConnection.open(address).stream("/gpu/stream_power")) {
        stream.nextSnapshot();
      }
    }
  }

  @Test
  void leavesALiveSocketAloneAndReplacesAStaleOne() throws Exception {
    try (ZeusdProcess first = startAtSocket()) {
      first.awaitListening();
      try (ZeusdProcess second = startAtSocket()) {
        second.assertFails(socket.toString(), "listening");
      }
      assertEquals(200, get(UnixDomainSocketAddress.of(socket), "/time").status());
      first.signal("KILL");
      assertEquals(128 + 9, first.awaitExit());
    }
    assertTrue(Files.exists(socket), "a killed daemon leaves its socket");
    try (ZeusdProcess third = startAtSocket()) {
      third.awaitListening();
      assertEquals(200, get(UnixDomainSocketAddress.of(socket), "/time").status());
    }
  }

  @Test
  void findsTheGpusOfADriverThatIsLoadedLater() throws Exception {
    nvml.driverUnloaded(true);
    try (ZeusdProcess zeusd = startAtSocket()) {
      SocketAddress address = UnixDomainSocketAddress.of(zeusd.awaitListening());
      get(address, "/gpu/get_power").assertOkMatching(".*\"power_mw\":\\{}}");
      nvml.driverUnloaded(false);
      long deadline = System.nanoTime() + RawConnection.PATIENCE.toNanos();
      while (get(address, "/discover").body().contains("\"gpus\":[]")) {
        assertTrue(System.nanoTime() < deadline, zeusd::toString);
        Thread.sleep(20);
      }
      get(address, "/gpu/get_power?gpu_ids=2").assertOkMatching(".*\"power_mw\":\\{\"2\":95000}}");
      try (EventStream stream = RawConnection.open(address).stream("/gpu/stream_power?gpu_ids=3")) {
        assertEquals(105_000, stream.nextSample().powerMw());
      }
    }
  }

  @Test
  void saysWhatKeepsItFromListening() throws Exception {
    Files.writeString(socket, "precious");
    try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"));
        ZeusdProcess file = startAtSocket();
        ZeusdProcess port =
            start(
                "serve",
                "--enable=gpu-read",
                "--mode=tcp",
                "--tcp-bind-address=127.0.0.1:" + taken.getLocalPort())) {
      file.assertFails(socket.toString(), "not a socket");
      port.assertFails("127.0.0.1:" + taken.getLocalPort(), "in use");
    }
    assertEquals("precious", Files.readString(socket));
  }

  @Test
  void doesWithoutAnNvmlThatItNeedNotHave() throws Exception {
    assumeTrue(Files.notExists(Path.of("/dev/nvidiactl")), "this machine has an NVIDIA driver");
    Map<String, String> without = Map.of("LD_LIBRARY_PATH", directory.toString());
    try (ZeusdProcess auto = ZeusdProcess.start(directory, without, TCP)) {
      int port = auto.awaitPort();
      auto.awaitErr(Pattern.compile("no GPUs: libnvidia-ml\\.so\\.1"));
      assertTrue(get(loopback(port), "/discover").body().startsWith("{\"gpu_ids\":[],"));
      get(loopback(port), "/gpu/get_cumulative_energy").assertOk("{}");
    }
    String[] insisting =
        Stream.concat(Stream.of(TCP), Stream.of("--gpu-backend", "nvml")).toArray(String[]::new);
    ZeusdProcess.assertInsists(
        () -> ZeusdProcess.start(directory, without, insisting), "NVML", "libnvidia-ml.so.1");
  }

  @Test
  void doesWithoutAnNvmlThatDoesNotInitialise() throws Exception {
    nvml.error(FakeNvml.Call.INIT, 18);
    String why = "opening NVML: the NVIDIA driver was upgraded, ";
    try (ZeusdProcess auto = start(TCP)) {
      int port = auto.awaitPort();
      auto.awaitErr(Pattern.compile("no GPUs: " + why));
      assertTrue(get(loopback(port), "/discover").body().startsWith("{\"gpu_ids\":[],"));
      get(loopback(port), "/gpu/get_power?gpu_ids=0").assertError(400, "gpu_ids");
    }
    String[] insisting =
        Stream.concat(Stream.of(TCP), Stream.of("--gpu-backend", "nvml")).toArray(String[]::new);
    ZeusdProcess.assertInsists(() -> start(insisting), why);
  }

  /**
   * Whether opening hangs in the library or the driver is no matter to whoever wants it to listen.
   */
  @ParameterizedTest
  @CsvSource({"auto, uds", "auto, tcp", "nvml, uds"})
  void listensAtOnceThoughNvmlHangsAndEndsWithZero(String backend, String mode) throws Exception {
    nvml.delay(FakeNvml.Call.INIT, Duration.ofMinutes(5));
    try (Metronome metronome = new Metronome();
        ZeusdProcess zeusd =
            mode.equals("uds")
                ? startAtSocket("--gpu-backend", backend)
                : start(with(TCP, "--gpu-backend", backend))) {
      String where = zeusd.awaitListening();
      SocketAddress address =
          mode.equals("uds")
              ? UnixDomainSocketAddress.of(where)
              : loopback(Integer.parseInt(where));
      // 30 seconds is what the service allows.
      long tookMs = metronome.beats();
      System.out.println("NVML hangs, " + backend + ": listening after " + tookMs + " ms");
      assertTrue(tookMs < 20_000, () -> "took " + tookMs + " ms");
      assertEquals(200, get(address, "/time").status());
      String discovered = get(address, "/discover").body();
      assertTrue(discovered.contains("\"no GPUs: NVML has not answered yet"), discovered);
      zeusd.signal("TERM");
      assertEquals(0, zeusd.awaitExit(), zeusd::toString);
      assertFalse(Files.exists(socket, NOFOLLOW_LINKS), "the socket is still there");
    }
  }

  private static String[] with(String[] args, String... more) {
    return Stream.concat(Stream.of(args), Stream.of(more)).toArray(String[]::new);
  }

  @Test
  void findsTheGpusWhenNvmlAnswersAtLast() throws Exception {
    nvml.delay(FakeNvml.Call.INIT, Duration.ofMinutes(5));
    try (ZeusdProcess zeusd = startAtSocket()) {
      SocketAddress address = UnixDomainSocketAddress.of(zeusd.awaitListening());
      nvml.delay(FakeNvml.Call.INIT, Duration.ZERO);
      zeusd.awaitErr(Pattern.compile("GPUs are there now: \\[0, 1, 2, 3\\]"));
      get(address, "/gpu/get_power?gpu_ids=2").assertOkMatching(".*\"power_mw\":\\{\"2\":95000}}");
      assertFalse(get(address, "/discover").body().contains("no GPUs"));
    }
  }

  /** LD_LIBRARY_PATH with an empty item means the current directory to the dynamic linker. */
  @ParameterizedTest
  @ValueSource(strings = {"", ":/nowhere", "."})
  void nothingInTheCurrentDirectoryIsOpened(String libraryPath) throws Exception {
    assumeTrue(Files.notExists(Path.of("/dev/nvidiactl")), "this machine has an NVIDIA driver");
    Path fifo = directory.resolve("libnvidia-ml.so.1");
    assertEquals(0, new ProcessBuilder("mkfifo", fifo.toString()).start().waitFor());
    try (ZeusdProcess zeusd =
        ZeusdProcess.startIn(directory, Map.of("LD_LIBRARY_PATH", libraryPath), TCP)) {
      int port = zeusd.awaitPort();
      zeusd.awaitErr(Pattern.compile("no GPUs: "));
      String discovered = get(loopback(port), "/discover").body();
      assertTrue(discovered.contains("no GPUs: libnvidia-ml.so.1 cannot be loaded"), discovered);
    }
  }

  // ---- An upgrade of the driver ----

  /** The kernel's driver and the library on the disk are new, the library in the process is not. */
  private void upgradeDriver(Path folder) throws Exception {
    FakeNvmlLibrary.buildNumber(2, folder);
    nvml.kernelNumber(2);
  }

  private Map<String, String> withLibraryIn(Path folder, Map<String, String> more) {
    Map<String, String> environment = new TreeMap<>(nvml.environment());
    environment.put("LD_LIBRARY_PATH", folder.toString());
    environment.putAll(more);
    return environment;
  }

  @ParameterizedTest
  @ValueSource(strings = {"INVOCATION_ID", "NOTIFY_SOCKET", "KUBERNETES_SERVICE_HOST"})
  void underAServiceManagerAnUpgradeEndsItWithOne(String variable) throws Exception {
    FakeNvmlLibrary.buildNumber(1, directory);
    Map<String, String> environment = withLibraryIn(directory, Map.of(variable, "something"));
    try (ZeusdProcess zeusd = ZeusdProcess.start(directory, environment, TCP)) {
      SocketAddress address = loopback(zeusd.awaitPort());
      get(address, "/gpu/get_power_limit?gpu_ids=0")
          .assertOk("{\"0\":{\"power_limit_mw\":300000}}");
      try (EventStream stream = RawConnection.open(address).stream("/gpu/stream_power")) {
        stream.nextSample();
        upgradeDriver(directory);
        assertEquals(1, zeusd.awaitExit(), zeusd::toString);
      }
      List<String> lines =
          zeusd.err().lines().filter(line -> line.contains("was upgraded: ")).toList();
      assertEquals(1, lines.size(), zeusd::toString);
      assertTrue(lines.getFirst().contains("has to be restarted"), zeusd::toString);
    }
    // Started anew, it works.
    try (ZeusdProcess zeusd = ZeusdProcess.start(directory, environment, TCP)) {
      get(loopback(zeusd.awaitPort()), "/gpu/get_power_limit?gpu_ids=0")
          .assertOk("{\"0\":{\"power_limit_mw\":300000}}");
    }
  }

  @Test
  void byItselfItLoadsTheNewLibrary() throws Exception {
    FakeNvmlLibrary.buildNumber(1, directory);
    try (ZeusdProcess zeusd =
        ZeusdProcess.start(directory, withLibraryIn(directory, Map.of()), TCP)) {
      SocketAddress address = loopback(zeusd.awaitPort());
      get(address, "/gpu/get_power_limit?gpu_ids=0")
          .assertOk("{\"0\":{\"power_limit_mw\":300000}}");
      // Half-way, as while the package is being installed.
      nvml.kernelNumber(2);
      for (int i = 0; i < 3; i++) {
        assertEquals(500, get(address, "/gpu/get_power").status());
        String told = get(address, "/gpu/get_power_limit?gpu_ids=1").body();
        assertTrue(told.contains("the NVIDIA driver was upgraded"), told);
        assertTrue(told.contains("restart zeusd"), told);
      }
      upgradeDriver(directory);
      long deadline = System.nanoTime() + RawConnection.PATIENCE.toNanos();
      while (get(address, "/gpu/get_power").status() != 200) {
        assertTrue(System.nanoTime() < deadline, zeusd::toString);
        Thread.sleep(20);
      }
      long lines = zeusd.err().lines().filter(line -> line.contains("was upgraded: ")).count();
      assertEquals(1, lines, zeusd::toString);
    }
  }

  @Test
  void whereTheUpgradeWasBeforeTheStartItGoesOnWithoutGpus() throws Exception {
    nvml.kernelNumber(2);
    Map<String, String> environment = new TreeMap<>(nvml.environment());
    environment.put("INVOCATION_ID", "something");
    try (ZeusdProcess zeusd = ZeusdProcess.start(directory, environment, TCP)) {
      SocketAddress address = loopback(zeusd.awaitPort());
      zeusd.awaitErr(Pattern.compile("no GPUs: "));
      String discovered = get(address, "/discover").body();
      assertTrue(discovered.contains("the NVIDIA driver was upgraded"), discovered);
      nvml.kernelNumber(1);
      long deadline = System.nanoTime() + RawConnection.PATIENCE.toNanos();
      while (get(address, "/discover").body().contains("\"gpus\":[]")) {
        assertTrue(System.nanoTime() < deadline, zeusd::toString);
        Thread.sleep(20);
      }
      assertTrue(zeusd.isAlive());
    }
  }

  @Test
  void onlyTheProcessThatSystemdStartedIsItsService() {
    assertTrue(ServiceManager.watches(Map.of("INVOCATION_ID", "x"), 7));
    assertTrue(ServiceManager.watches(Map.of("INVOCATION_ID", "x", "SYSTEMD_EXEC_PID", "7"), 7));
    assertFalse(ServiceManager.watches(Map.of("INVOCATION_ID", "x", "SYSTEMD_EXEC_PID", "8"), 7));
    assertFalse(ServiceManager.watches(Map.of("SYSTEMD_EXEC_PID", "7"), 7));
    assertFalse(ServiceManager.watches(Map.of(), 7));
  }

  @Test
  void letsGoOfAnIdleDriver() throws Exception {
    try (ZeusdProcess zeusd = startAtSocket("--gpu-idle-release", "1s")) {
      SocketAddress address = UnixDomainSocketAddress.of(zeusd.awaitListening());
      zeusd.awaitErr(Pattern.compile("GPUs are idle: the driver is let go of"));
      assertEquals(1, nvml.calls(FakeNvml.Call.SHUTDOWN));
      assertEquals(200, get(address, "/gpu/get_power").status());
      // Once more only where the machine stood still in the request, for as long as is idle.
      assertTrue(nvml.calls(FakeNvml.Call.INIT) >= 2, zeusd::toString);
    }
    for (String wrong : new String[] {"0.5s", "100ms", "soon", "-1s"}) {
      try (ZeusdProcess zeusd = startAtSocket("--gpu-idle-release", wrong)) {
        assertEquals(2, zeusd.awaitExit());
        assertTrue(zeusd.err().contains("--gpu-idle-release"), zeusd::toString);
      }
    }
  }

  @Test
  void anOldDriverLosesOnlyWhatItLacks() throws Exception {
    FakeNvmlLibrary.buildWithout(FakeNvmlLibrary.YOUNG_FUNCTIONS, directory);
    Map<String, String> old =
        Map.of("LD_LIBRARY_PATH", directory.toString(), "FAKE_NVML_GPUS", "1");
    try (ZeusdProcess zeusd = ZeusdProcess.start(directory, old, TCP)) {
      SocketAddress address = loopback(zeusd.awaitPort());
      zeusd.awaitErr(Pattern.compile("1 GPU\\(s\\) by NVML"));
      String discovered = get(address, "/discover").body();
      assertTrue(discovered.contains("\"cumulative_energy_available\":false"), discovered);
      for (int i = 0; i < 2; i++) {
        get(address, "/gpu/get_power")
            .assertOkMatching("\\{\"timestamp_ms\":\\d+,\"power_mw\":\\{\"0\":75000}}");
      }
      String said = "GPU 0 has no instant power reading";
      assertEquals(1, zeusd.err().lines().filter(line -> line.contains(said)).count(), said);
      get(address, "/gpu/get_cumulative_energy")
          .assertJson(
              400,
              "{\"errors\":{\"0\":\"reading the energy: the installed NVIDIA driver does not have"
                  + " this function; a newer one may (nvmlDeviceGetTotalEnergyConsumption:"
                  + " NVML_ERROR_FUNCTION_NOT_FOUND)\"}}");
      get(address, "/gpu/get_power_limit").assertOk("{\"0\":{\"power_limit_mw\":300000}}");
    }
  }

  @Test
  void simulates() throws Exception {
    try (ZeusdProcess zeusd =
        start("serve", "--simulate", "--mode", "tcp", "--tcp-bind-address", "127.0.0.1:0")) {
      SocketAddress address = loopback(zeusd.awaitPort());
      assertTrue(get(address, "/discover").body().startsWith("{\"gpu_ids\":[0,1"));
      assertEquals(200, get(address, "/gpu/get_power").status());
      try (EventStream stream = RawConnection.open(address).stream("/gpu/stream_power")) {
        stream.nextSample();
      }
      assertEquals(0, nvml.totalCalls(), "the library is left alone");
    }
  }

  @Test
  void listensOnIpv6() throws Exception {
    assumeTrue(hasIpv6(), "this machine has no ::1");
    try (ZeusdProcess zeusd =
        start("serve", "--enable=gpu-read", "--mode=tcp", "--tcp-bind-address=[::1]:0")) {
      SocketAddress address = new InetSocketAddress("::1", zeusd.awaitPort());
      assertEquals(200, get(address, "/time").status());
    }
  }

  private static boolean hasIpv6() {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getByName("::1"))) {
      return socket.isBound();
    } catch (IOException e) {
      return false;
    }
  }

  @Test
  void usageErrorsAndVersionHaveTheirStatus() throws Exception {
    try (ZeusdProcess version = start("--version");
        ZeusdProcess usage = start("serve", "--mode", "udp")) {
      assertEquals(0, version.awaitExit());
      assertTrue(version.out().matches("zeusd \\d+\\.\\d+\\.\\d+\\R"), version::toString);
      assertEquals("", version.err());
      assertEquals(2, usage.awaitExit());
      assertEquals(2, usage.err().lines().count(), usage::toString);
      assertEquals("", usage.out());
    }
  }

  @Test
  void withoutRootOnlyGpusCanBeRead() throws Exception {
    List<String> prefix = List.of();
    String classPath = ClassPath.OWN;
    Map<String, String> environment =
        Map.of("LD_LIBRARY_PATH", FakeNvmlLibrary.directory().toString());
    if (isRoot()) {
      assumeTrue(Files.isExecutable(Path.of("/usr/bin/setpriv")), "no setpriv (util-linux)");
      prefix = List.of("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups");
      classPath = readableByAll(classPath);
      environment = Map.of("LD_LIBRARY_PATH", readableByAll(FakeNvmlLibrary.directory()));
      Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwxrwxrwx"));
    }
    try (ZeusdProcess all = ZeusdProcess.start(directory, environment, prefix, classPath, "serve");
        ZeusdProcess control =
            ZeusdProcess.start(
                directory, environment, prefix, classPath, "serve", "--enable=gpu-control")) {
      all.assertFails(
          "gpu-control needs root or CAP_SYS_ADMIN",
          "cpu-read needs root, CAP_DAC_READ_SEARCH or energy counters that it can read",
          "--enable gpu-read");
      control.assertFails("gpu-control", "--enable gpu-read");
      assertFalse(control.err().contains("cpu-read"), control::toString);
    }
    RaplTree.Zone zone = new RaplTree(directory.resolve("rapl")).zone(0, "package-0");
    String[] cpuRead = {
      "serve", "--enable=cpu-read", "--rapl-dir=" + directory.resolve("rapl"),
      "--mode=tcp", "--tcp-bind-address=127.0.0.1:0", "--state-dir=" + directory.resolve("state")
    };
    if (isRoot()) {
      Files.setPosixFilePermissions(
          zone.energyFile(), PosixFilePermissions.fromString("r--------"));
      try (ZeusdProcess cpus =
          ZeusdProcess.start(directory, environment, prefix, classPath, cpuRead)) {
        cpus.assertFails("cpu-read needs root, CAP_DAC_READ_SEARCH", "--enable gpu-read");
      }
      List<String> withCapability = new ArrayList<>(prefix);
      withCapability.addAll(
          List.of("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"));
      try (ZeusdProcess cpus =
          ZeusdProcess.start(directory, environment, withCapability, classPath, cpuRead)) {
        assertReadsCpuEnergy(cpus);
      }
    }
    Files.setPosixFilePermissions(zone.energyFile(), PosixFilePermissions.fromString("r--r--r--"));
    try (ZeusdProcess cpus =
        ZeusdProcess.start(directory, environment, prefix, classPath, cpuRead)) {
      assertReadsCpuEnergy(cpus);
    }
    try (ZeusdProcess reading =
        ZeusdProcess.start(directory, environment, prefix, classPath, TCP)) {
      int port = reading.awaitPort();
      get(loopback(port), "/gpu/get_power_limit?gpu_ids=0")
          .assertOk("{\"0\":{\"power_limit_mw\":300000}}");
    }
  }

  private static void assertReadsCpuEnergy(ZeusdProcess zeusd) throws Exception {
    get(loopback(zeusd.awaitPort()), "/cpu/get_cumulative_energy?cpu=true&dram=false")
        .assertOk("{\"0\":{\"cpu_energy_uj\":0,\"dram_energy_uj\":null}}");
  }

  private static boolean isRoot() throws IOException {
    return (Integer) Files.getAttribute(Path.of("/proc/self"), "unix:uid") == 0;
  }

  /** The class path, copied to where another user may read it. */
  private String readableByAll(String classPath) throws IOException {
    List<String> copies = new ArrayList<>();
    for (String entry : classPath.split(File.pathSeparator)) {
      if (!entry.isEmpty() && Files.exists(Path.of(entry))) {
        copies.add(readableByAll(Path.of(entry)));
      }
    }
    return String.join(File.pathSeparator, copies);
  }

  private String readableByAll(Path original) throws IOException {
    Path copy = Files.createTempDirectory(directory, "copy").resolve(original.getFileName());
    try (Stream<Path> files = Files.walk(original)) {
      for (Path file : files.toList()) {
        Files.copy(file, copy.resolve(original.relativize(file)));
      }
    }
    for (Path up = copy; !up.equals(directory.getParent()); up = up.getParent()) {
      Files.setPosixFilePermissions(up, PosixFilePermissions.fromString("rwxr-xr-x"));
    }
    return copy.toString();
  }
}
