package dev.zeusd.core.settings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.GpuSelector;
import dev.zeusd.core.settings.LeaseRequest.OnEnd;
import dev.zeusd.core.settings.SettingValue.ClockRange;
import dev.zeusd.core.worker.DeviceWorker;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * Clients that take, write, renew, keep, end and die; processes that know nothing of leases, and
 * end; GPUs that fail, are lost and reloaded; other tools; a baseline; a daemon that is stopped and
 * killed, in the middle of a write and at any byte of what it saves. However they interleave: every
 * setting ends where it belongs, or is shown as pending, and nothing is ever held twice.
 */
@Timeout(300)
class LeasesPropertyTest {
  private static final int RUNS = Integer.getInteger("leases.runs", 60);
  private static final int STEPS = 120;
  private static final Duration TTL = Duration.ofSeconds(30);
  private static final Duration LONG = Duration.ofMinutes(2);
  private static final Logger LOG = Logger.getLogger(Leases.class.getName());

  private static Path dir;

  private final List<ModelGpu> models = List.of(new ModelGpu(0), new ModelGpu(1), new ModelGpu(2));
  private final List<DeviceWorker<Gpu>> gpus =
      models.stream().map(gpu -> new DeviceWorker<Gpu>(gpu.info().id(), "gpu", gpu)).toList();
  private final AtomicLong nanos = new AtomicLong();
  private final List<Mine> clients = new ArrayList<>();
  private final Map<String, Lease.Keeper> keepers = new HashMap<>();
  private final List<Process> processes = new ArrayList<>();

  /** Settings that a baseline is about: they belong to what it says, sooner or later. */
  private Map<Setting, SettingValue> baseline = Map.of();

  private Map<Setting, Belongs> belongs = new TreeMap<>();
  private Random random;
  private Leases leases;
  private long foreignMw;

  /** What a client knows. */
  private record Mine(String id, long epoch, OnEnd onEnd, List<Setting> settings) {}

  /**
   * Where a setting belongs.
   *
   * @param home where it goes back to
   * @param touchedBy the lease that has changed it, while it is not back
   * @param foreign what somebody else has set since
   */
  private record Belongs(String home, Optional<String> touchedBy, Optional<String> foreign) {
    static Belongs at(String home) {
      return new Belongs(home, Optional.empty(), Optional.empty());
    }

    String end() {
      return foreign.orElse(home);
    }
  }

  private static final class Killed extends RuntimeException {
    private static final long serialVersionUID = 1L;
  }

  @BeforeAll
  static void findMemory() throws IOException {
    // Hundreds of kills: none of them waits for a disk.
    Path memory = Path.of("/dev/shm");
    dir =
        Files.isWritable(memory)
            ? Files.createTempDirectory(memory, "leases")
            : Files.createTempDirectory("leases");
    LOG.setLevel(Level.OFF);
    Logger.getLogger("dev.zeusd.core.StateDirectory").setLevel(Level.OFF);
  }

  @AfterAll
  static void cleanUp() throws IOException {
    LOG.setLevel(null);
    Logger.getLogger("dev.zeusd.core.StateDirectory").setLevel(null);
    clear();
    Files.delete(dir);
  }

  private static void clear() throws IOException {
    try (var files = Files.list(dir)) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
    }
  }

  @Test
  void everySettingEndsWhereItBelongs() throws Exception {
    long first = Long.getLong("leases.seed", System.nanoTime());
    for (int run = 0; run < RUNS; run++) {
      run(first + run);
    }
    DeviceWorker.closeAll(gpus);
  }

  private void run(long seed) throws Exception {
    random = new Random(seed);
    clear();
    clients.clear();
    keepers.clear();
    baseline = anyBaseline();
    for (ModelGpu gpu : models) {
      heal(gpu);
      gpu.reload();
      gpu.limitMw = 200_000 + 10_000 * random.nextInt(5);
      // Never what is a limit of a GPU here, so that none is taken for the other.
      gpu.moduleLimitMw = 2_000_000 + 10_000 * random.nextInt(5);
      gpu.persistence = random.nextBoolean();
      for (SettingKey key : SettingKey.values()) {
        Setting setting = new Setting("GPU-" + gpu.info().id(), key);
        belongs.put(setting, Belongs.at(actual(setting)));
      }
    }
    leases = open();
    List<String> story = new ArrayList<>();
    try {
      for (int step = 0; step < STEPS; step++) {
        step(story);
        sync();
      }
      models.forEach(LeasesPropertyTest::heal);
      keepers.values().forEach(Lease.Keeper::close);
      while (!processes.isEmpty()) {
        story.add(endProcess());
      }
      story.add("the end");
      for (int look = 0; look < 4; look++) {
        nanos.addAndGet(LONG.toNanos());
        sync();
      }
      assertEquals(List.of(), leases.list());
      belongs.forEach(
          (setting, there) -> {
            if (!baseline.containsKey(setting)) {
              assertEquals(there.end(), actual(setting), "" + setting);
            }
          });
      // Whatever was set without a lease, or by others: a start puts it right.
      leases = open();
      sync();
      sync();
      baseline.forEach(
          (setting, value) -> assertEquals(value.text(), actual(setting), "" + setting));
      assertEquals(List.of(), List.copyOf(processes));
    } catch (AssertionError | RuntimeException e) {
      throw new AssertionError("seed " + seed + ": " + String.join("\n", story), e);
    } finally {
      processes.forEach(Process::destroyForcibly);
      processes.clear();
      leases.leaveProcesses();
    }
  }

  private Map<Setting, SettingValue> anyBaseline() {
    Map<Setting, SettingValue> values = new TreeMap<>();
    if (random.nextBoolean()) {
      values.put(new Setting("GPU-0", SettingKey.POWER_LIMIT), anyValue(SettingKey.POWER_LIMIT));
      values.put(
          new Setting("GPU-2", SettingKey.PERSISTENCE_MODE),
          new SettingValue.PersistenceMode(true));
    }
    return values;
  }

  private Leases open() {
    // Those who kept leases have lost them with the daemon.
    keepers.clear();
    if (leases != null) {
      leases.leaveProcesses();
    }
    List<Baseline.Entry> entries = new ArrayList<>();
    baseline.forEach(
        (setting, value) ->
            entries.add(
                new Baseline.Entry(
                    List.of(new GpuSelector.Uuid(setting.gpuUuid())), List.of(value))));
    return new Leases(
        () -> gpus, Optional.of(dir), new Baseline(entries), nanos::get, LeaseObserver.NONE);
  }

  private static void heal(ModelGpu gpu) {
    gpu.lost = false;
    gpu.failsToWrite = false;
    gpu.onWrite = value -> {};
  }

  // ---- What may happen ----

  private void step(List<String> story) throws Exception {
    int what = random.nextInt(27);
    switch (what) {
      case 0, 1, 2, 3 -> story.add("take " + take());
      case 4, 5, 6, 7 -> story.add("write " + write());
      case 8 -> story.add("write without a lease " + writeUnleased());
      case 9 -> story.add("another tool " + setFromOutside());
      case 10, 11 -> story.add("end " + end());
      case 12 -> story.add("renew " + renew());
      case 13 -> {
        nanos.addAndGet(TTL.toNanos() / 4 * random.nextInt(6));
        story.add("time");
      }
      case 14, 15 -> {
        ModelGpu gpu = any(models);
        gpu.lost = random.nextInt(4) == 0;
        gpu.failsToWrite = random.nextInt(3) == 0;
        story.add("GPU " + gpu.info() + gpu.lost + gpu.failsToWrite);
      }
      case 16 -> story.add("reload " + reload());
      case 17 -> {
        leases = open();
        story.add("kill");
      }
      case 18 -> story.add("kill while " + killWhileWriting());
      case 19 -> story.add("keep " + keepOrLeave());
      case 20 ->
          // The log becomes long enough to be begun anew.
          story.add(random.nextInt(4) == 0 ? "write often " + writeOften() : "nothing");
      case 21, 22, 23 -> story.add("a process " + setByProcess());
      case 24 -> story.add("a process " + setInVainByProcess());
      case 25 -> story.add(endProcess());
      default ->
          story.add(random.nextInt(3) == 0 ? stop() : "kill while saving " + killWhileSaving());
    }
  }

  private <T> T any(List<T> list) {
    return list.get(random.nextInt(list.size()));
  }

  private String take() {
    List<Setting> wanted =
        belongs.keySet().stream().filter(setting -> random.nextInt(5) == 0).toList();
    if (wanted.isEmpty() || clients.size() == 4) {
      return "nothing";
    }
    OnEnd onEnd = random.nextInt(4) == 0 ? OnEnd.KEEP : OnEnd.RESTORE;
    try {
      Lease lease = leases.take(wanted, new LeaseRequest("client", TTL, Duration.ZERO, onEnd));
      clients.add(new Mine(lease.id(), lease.epoch(), onEnd, wanted));
      return lease + " of " + wanted + " " + onEnd;
    } catch (LeaseException.Held | LeaseException.Unreadable e) {
      return e.getMessage();
    }
  }

  private SettingValue anyValue(SettingKey key) {
    Optional<ClockRange> range = Optional.of(new ClockRange(300, 900 + random.nextInt(5)));
    return switch (key) {
      case POWER_LIMIT -> new SettingValue.PowerLimit(100_000 + 10_000L * random.nextInt(9));
      case MODULE_POWER_LIMIT ->
          new SettingValue.ModulePowerLimit(2_100_000 + 10_000L * random.nextInt(9));
      case PERSISTENCE_MODE -> new SettingValue.PersistenceMode(random.nextBoolean());
      case GPU_CLOCKS -> new SettingValue.GpuClocks(range);
      case MEM_CLOCKS -> new SettingValue.MemClocks(range);
    };
  }

  private String write() {
    if (clients.isEmpty()) {
      return "nothing";
    }
    Mine mine = any(clients);
    Setting setting = any(mine.settings);
    SettingValue value = anyValue(setting.key());
    try {
      return mine.epoch + " " + write(leases.find(mine.id, mine.epoch), mine.id, setting, value);
    } catch (LeaseException e) {
      return e.getMessage();
    }
  }

  private String write(SettingAccess access, String who, Setting setting, SettingValue value) {
    String result = "done";
    try {
      call(access, setting, value);
      touched(who, setting);
    } catch (DeviceException.Failed e) {
      if (e.getMessage().contains("does not take it") || !canBeReplayed(setting)) {
        tried(who, setting);
      }
      result = e.toString();
    } catch (DeviceException | LeaseException e) {
      result = e.toString();
    }
    return setting + " " + value + " " + result;
  }

  // ---- Processes that know nothing of leases ----

  private Process anyProcess() throws IOException {
    if (processes.size() < 3 && random.nextBoolean() || processes.isEmpty()) {
      processes.add(new ProcessBuilder("sleep", "600").start());
    }
    return any(processes);
  }

  private static String name(Process process) {
    return "process " + process.pid();
  }

  /** One setting of some GPUs, by one request. */
  private String setByProcess() throws IOException {
    Process process = anyProcess();
    SettingKey key = any(List.of(SettingKey.values()));
    List<Integer> ids =
        models.stream().map(gpu -> gpu.info().id()).filter(id -> random.nextBoolean()).toList();
    SettingAccess access;
    try {
      access = access(process, ids, key);
    } catch (LeaseException.Held | LeaseException.Unreadable e) {
      return e.getMessage();
    }
    StringBuilder result = new StringBuilder(name(process));
    for (Setting setting : leases.knownSettings(ids, Set.of(key))) {
      result.append(", ").append(write(access, name(process), setting, anyValue(key)));
    }
    return result.toString();
  }

  private SettingAccess access(Process process, List<Integer> ids, SettingKey key)
      throws IOException {
    ClientProcess client = ClientProcess.find(process.pid()).orElseThrow();
    return leases.ofProcess(client, name(process), ids, Set.of(key));
  }

  /** What a driver refuses is nobody's. */
  private String setInVainByProcess() throws IOException {
    Process process = anyProcess();
    Setting setting = new Setting("GPU-" + any(models).info().id(), SettingKey.POWER_LIMIT);
    boolean wasHeld = heldOnes().contains(setting);
    try {
      List<Integer> ids = List.of(gpuOf(setting).id());
      call(
          access(process, ids, setting.key()),
          setting,
          new SettingValue.PowerLimit(ModelGpu.MAX_LIMIT_MW + 1));
    } catch (DeviceException.InvalidArgument e) {
      assertTrue(wasHeld || !heldOnes().contains(setting), "held for nothing");
    } catch (DeviceException | LeaseException e) {
      return e.getMessage();
    }
    return name(process) + " " + setting + " in vain";
  }

  private String endProcess() throws InterruptedException {
    if (processes.isEmpty()) {
      return "nothing";
    }
    Process process = processes.remove(random.nextInt(processes.size()));
    process.destroyForcibly().onExit().join();
    // Another thread learns of it.
    Await.until(
        "its leases end", () -> leases.list().stream().noneMatch(each -> goesOn(each, process)));
    return "the end of " + name(process);
  }

  /** Whether its end has not come to a lease, or not to what that has to put back. */
  private static boolean goesOn(LeaseInfo lease, Process process) {
    return lease.process().filter(id -> id.pid() == process.pid()).isPresent()
        && (lease.state() == LeaseState.KEPT || lease.problems().containsValue("not tried yet"));
  }

  private void touched(String who, Setting setting) {
    belongs.put(
        setting, new Belongs(belongs.get(setting).home, Optional.of(who), Optional.empty()));
  }

  /** A driver may have taken what it says it has not. */
  private void tried(String who, Setting setting) {
    Belongs there = belongs.get(setting);
    if (there.touchedBy.isEmpty()) {
      belongs.put(setting, new Belongs(there.home, Optional.of(who), Optional.empty()));
    }
  }

  private void call(SettingAccess access, Setting setting, SettingValue value) {
    gpuOf(setting)
        .call(
            gpu -> {
              access.write(gpu, value);
              return true;
            });
  }

  private DeviceWorker<Gpu> gpuOf(Setting setting) {
    return gpus.get(Integer.parseInt(setting.gpuUuid().substring(4)));
  }

  /** Clocks that no lease has set are forgotten with the process, and not part of this. */
  private String writeUnleased() {
    Setting setting = any(List.copyOf(belongs.keySet()));
    SettingValue value = anyValue(setting.key());
    if (setting.key() == SettingKey.GPU_CLOCKS || setting.key() == SettingKey.MEM_CLOCKS) {
      return "nothing";
    }
    boolean isHeld = heldOnes().contains(setting);
    try {
      call(leases.unleased(), setting, value);
      assertTrue(!isHeld, "written beside a lease: " + setting);
      belongs.put(setting, Belongs.at(value.text()));
    } catch (DeviceException e) {
      return e.toString();
    }
    return setting + " " + value;
  }

  private String setFromOutside() {
    ModelGpu gpu = any(models);
    foreignMw = 400_000 + (foreignMw + 2_001) % 500_000;
    gpu.limitMw = foreignMw;
    Setting setting = new Setting("GPU-" + gpu.info().id(), SettingKey.POWER_LIMIT);
    Belongs there = belongs.get(setting);
    belongs.put(
        setting,
        there.touchedBy.isPresent()
            ? new Belongs(there.home, there.touchedBy, Optional.of("" + foreignMw))
            : Belongs.at("" + foreignMw));
    return setting + " " + foreignMw;
  }

  private String end() {
    if (clients.isEmpty()) {
      return "nothing";
    }
    Mine mine = any(clients);
    try {
      return mine.epoch + " " + leases.find(mine.id).end();
    } catch (LeaseException.Ended e) {
      return e.getMessage();
    }
  }

  private String renew() {
    if (clients.isEmpty()) {
      return "nothing";
    }
    try {
      leases.find(any(clients).id).renew();
      return "done";
    } catch (LeaseException.Ended e) {
      return e.getMessage();
    }
  }

  /** As by a stream: until its client dies. */
  private String keepOrLeave() {
    if (clients.isEmpty()) {
      return "nothing";
    }
    String id = any(clients).id;
    Lease.Keeper keeper = keepers.remove(id);
    if (keeper != null) {
      keeper.close();
      return "no longer";
    }
    try {
      keepers.put(id, leases.find(id).keep());
      return "from now on";
    } catch (LeaseException.Ended e) {
      return e.getMessage();
    }
  }

  private String writeOften() {
    String result = "";
    for (int i = 0; i < 1000; i++) {
      result = write();
    }
    return result;
  }

  private String reload() {
    ModelGpu gpu = any(models);
    gpu.reload();
    for (SettingKey key : SettingKey.values()) {
      Setting setting = new Setting("GPU-" + gpu.info().id(), key);
      Belongs there = belongs.get(setting);
      belongs.put(
          setting,
          there.touchedBy.isPresent()
              ? new Belongs(there.home, there.touchedBy, Optional.empty())
              : Belongs.at(actual(setting)));
    }
    return "" + gpu.info();
  }

  private String stop() {
    leases.close();
    leases = open();
    return "stop";
  }

  /** Before the driver has the value, perhaps within the line of the log; or after. */
  private String killWhileWriting() throws IOException {
    boolean reaches = random.nextBoolean();
    for (ModelGpu gpu : models) {
      gpu.onWrite =
          value -> {
            if (reaches && !gpu.lost && !gpu.failsToWrite) {
              gpu.onWrite = again -> {};
              replay(gpu, value);
            }
            throw new Killed();
          };
    }
    String what = write(reaches);
    models.forEach(gpu -> gpu.onWrite = value -> {});
    leases = open();
    return what + (reaches ? " and driver has it" : "");
  }

  private void replay(ModelGpu gpu, String write) {
    String value = write.substring(write.lastIndexOf(' ') + 1);
    if (write.startsWith("limit ")) {
      gpu.limitMw = Long.parseLong(value);
    } else if (write.startsWith("module ")) {
      gpu.moduleLimitMw = Long.parseLong(value);
    } else if (write.startsWith("persistence ")) {
      gpu.persistence = Boolean.parseBoolean(value);
    }
  }

  /** One of the limits and persistence, since the others do not tell the value. */
  private String write(boolean reaches) throws IOException {
    if (random.nextInt(3) == 0) {
      return writeByProcess(reaches);
    }
    List<Mine> able =
        clients.stream()
            // Of one that keeps, nobody can tell whether it has got as far as that.
            .filter(mine -> mine.onEnd == OnEnd.RESTORE)
            .filter(mine -> mine.settings.stream().anyMatch(LeasesPropertyTest::canBeReplayed))
            .toList();
    if (able.isEmpty()) {
      return "nothing";
    }
    Mine mine = any(able);
    Setting setting =
        any(mine.settings.stream().filter(LeasesPropertyTest::canBeReplayed).toList());
    try {
      return writeAndDie(leases.find(mine.id, mine.epoch), mine.id, setting, reaches);
    } catch (LeaseException e) {
      return e.toString();
    }
  }

  private String writeByProcess(boolean reaches) throws IOException {
    Process process = anyProcess();
    Setting setting =
        any(belongs.keySet().stream().filter(LeasesPropertyTest::canBeReplayed).toList());
    try {
      SettingAccess access = access(process, List.of(gpuOf(setting).id()), setting.key());
      return name(process) + " " + writeAndDie(access, name(process), setting, reaches);
    } catch (LeaseException e) {
      return e.toString();
    }
  }

  private String writeAndDie(SettingAccess access, String who, Setting setting, boolean reaches)
      throws IOException {
    ModelGpu gpu = models.get(gpuOf(setting).id());
    SettingValue value = anyValue(setting.key());
    try {
      call(access, setting, value);
      return "not reached";
    } catch (Killed e) {
      if (reaches && !gpu.lost && !gpu.failsToWrite) {
        touched(who, setting);
      } else if (reaches || cutLastLine()) {
        tried(who, setting);
      }
      return setting + " " + value;
    } catch (DeviceException e) {
      return e.toString();
    }
  }

  private static boolean canBeReplayed(Setting setting) {
    return switch (setting.key()) {
      case POWER_LIMIT, MODULE_POWER_LIMIT, PERSISTENCE_MODE -> true;
      case GPU_CLOCKS, MEM_CLOCKS -> false;
    };
  }

  /** Whether it still says all. */
  private boolean cutLastLine() throws IOException {
    Path newest;
    try (var files = Files.list(dir)) {
      newest =
          files
              .filter(file -> file.getFileName().toString().startsWith("lease-writes-"))
              .max(
                  Comparator.comparingInt(
                      file -> Integer.parseInt(file.toString().replaceAll(".*-", ""))))
              .orElseThrow();
    }
    byte[] bytes = Files.readAllBytes(newest);
    int start = bytes.length - 1;
    while (bytes[start - 1] != '\n') {
      start--;
    }
    int length = start - 1 + random.nextInt(bytes.length - start + 2);
    byte[] cut = Arrays.copyOf(bytes, length);
    boolean torn = random.nextBoolean() && length > start;
    if (torn) {
      cut[length - 1] = 0;
    }
    Files.write(newest, cut);
    return length >= bytes.length - 1 && !torn;
  }

  /** At any byte of what a taking or an ending writes at last, and between its steps. */
  private String killWhileSaving() throws IOException {
    sync();
    Map<String, byte[]> before = readAll();
    Map<Setting, Belongs> belonged = new TreeMap<>(belongs);
    List<Mine> had = List.copyOf(clients);
    String what = random.nextBoolean() ? take() : end();
    flush();
    Map<String, byte[]> after = readAll();
    if (!after.containsKey("leases") || Arrays.equals(before.get("leases"), after.get("leases"))) {
      leases = open();
      return what;
    }
    // The log of before goes last.
    Map<String, byte[]> left = new HashMap<>(after);
    if (random.nextBoolean()) {
      before.forEach(
          (name, bytes) -> {
            if (name.startsWith("lease-writes-")) {
              left.put(name, bytes);
            }
          });
    }
    boolean isSaved = random.nextInt(4) == 0;
    if (!isSaved) {
      // Its new form is not in its place yet, perhaps not even whole, and no line is forgotten.
      byte[] whole = after.get("leases");
      left.putAll(before);
      left.put(".leases.new", Arrays.copyOf(whole, random.nextInt(whole.length + 1)));
      if (!before.containsKey("leases")) {
        left.remove("leases");
      }
      // What has been put back is put back once more.
      belongs = belonged;
      clients.clear();
      clients.addAll(had);
    }
    clear();
    for (Map.Entry<String, byte[]> file : left.entrySet()) {
      Files.write(dir.resolve(file.getKey()), file.getValue());
    }
    leases = open();
    return what + (isSaved ? ", saved" : ", not saved");
  }

  private static Map<String, byte[]> readAll() throws IOException {
    Map<String, byte[]> files = new HashMap<>();
    try (var names = Files.list(dir)) {
      for (Path file : names.toList()) {
        files.put(file.getFileName().toString(), Files.readAllBytes(file));
      }
    }
    return files;
  }

  // ---- What must be so at all times ----

  private void flush() {
    gpus.forEach(gpu -> gpu.call(device -> true));
  }

  private void sync() {
    flush();
    leases.step();
    flush();
    List<LeaseInfo> infos = leases.list();
    heldOnes();
    for (Mine mine : List.copyOf(clients)) {
      boolean isOver = infos.stream().noneMatch(info -> isHeldBy(info, mine));
      if (isOver) {
        clients.remove(mine);
        mine.settings.stream()
            .filter(each -> mine.onEnd == OnEnd.KEEP)
            .filter(each -> belongs.get(each).touchedBy.equals(Optional.of(mine.id)))
            .forEach(each -> belongs.put(each, Belongs.at(actual(each))));
      }
    }
    Set<Setting> open = new HashSet<>();
    infos.forEach(info -> open.addAll(info.settings()));
    belongs.replaceAll(
        (setting, there) -> {
          if (there.touchedBy.isEmpty()
              || open.contains(setting)
              || baseline.containsKey(setting)) {
            return there;
          }
          assertEquals(there.end(), actual(setting), "" + setting);
          return Belongs.at(there.end());
        });
  }

  private static boolean isHeldBy(LeaseInfo info, Mine mine) {
    return info.state() != LeaseState.PENDING && info.id().equals(mine.id);
  }

  private Set<Setting> heldOnes() {
    Set<Setting> held = new HashSet<>();
    for (LeaseInfo info : leases.list()) {
      if (info.state() != LeaseState.PENDING) {
        info.settings().forEach(each -> assertTrue(held.add(each), () -> "held twice: " + each));
      }
    }
    return held;
  }

  private String actual(Setting setting) {
    ModelGpu gpu = models.get(gpuOf(setting).id());
    return switch (setting.key()) {
      case POWER_LIMIT -> "" + gpu.limitMw;
      case MODULE_POWER_LIMIT -> "" + gpu.moduleLimitMw;
      case PERSISTENCE_MODE -> "" + gpu.persistence;
      case GPU_CLOCKS -> gpu.gpuClocks;
      case MEM_CLOCKS -> gpu.memClocks;
    };
  }
}
