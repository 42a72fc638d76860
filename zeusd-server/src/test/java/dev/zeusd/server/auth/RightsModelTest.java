package dev.zeusd.server.auth;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.device.GpuSelector;
import dev.zeusd.core.settings.SettingKey;
import dev.zeusd.core.settings.SettingValue;
import dev.zeusd.core.settings.SettingValue.ClockRange;
import dev.zeusd.server.ApiGroup;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import java.util.Set;
import javax.security.auth.x500.X500Principal;
import org.junit.jupiter.api.Test;

/**
 * Random grants, callers and wishes against a model that says in ten lines what is allowed. {@code
 * -Dgrants.seed} repeats a failure.
 */
class RightsModelTest {
  private static final long SEED = Long.getLong("grants.seed", new Random().nextLong());
  private static final List<String> WHO =
      List.of(
          "uid:0",
          "uid:1000",
          "uid:4294967294",
          "gid:7",
          "gid:1000",
          "token:alice",
          "token:0",
          "cert:CN=alice",
          "cert:CN=alice,O=acme");
  private static final List<GpuInfo> GPUS = List.of(gpu(0), gpu(1), gpu(2), GpuInfo.unknown(3));

  private final Random random = new Random(SEED);

  private static GpuInfo gpu(int id) {
    GpuInfo unknown = GpuInfo.unknown(id);
    return new GpuInfo(
        id,
        unknown.name(),
        Optional.of("GPU-0000000" + id),
        unknown.pciAddress(),
        unknown.cumulativeEnergyAvailable(),
        unknown.powerScope());
  }

  private record Wish(ApiGroup group, GpuInfo gpu, Optional<SettingValue> value) {}

  /** What the documentation says. */
  private static boolean model(List<Grant> grants, Set<String> names, Wish wish) {
    for (Grant grant : grants) {
      boolean isFor = grant.who().stream().anyMatch(who -> names.contains(who.toString()));
      boolean isOf = grant.gpus().isEmpty() || grant.gpus().stream().anyMatch(g -> is(g, wish.gpu));
      if (isFor && isOf && grant.groups().contains(wish.group)) {
        if (wish.value.isEmpty() || within(grant, wish.value.get())) {
          return true;
        }
      }
    }
    return grants.isEmpty();
  }

  private static boolean is(GpuSelector selector, GpuInfo gpu) {
    return selector.toString().equals("" + gpu.id())
        || selector.toString().equalsIgnoreCase(gpu.uuid().orElse("none"));
  }

  private static boolean within(Grant grant, SettingValue value) {
    Grant.Range range = grant.bounds().getOrDefault(value.key(), new Grant.Range(0, 1L << 40));
    boolean isBounded = grant.bounds().containsKey(value.key());
    if (value instanceof SettingValue.ModulePowerLimit
        && !isBounded
        && grant.bounds().containsKey(SettingKey.POWER_LIMIT)) {
      // The limit of the module holds its GPU down as well.
      return false;
    }
    // "250000", "900-1500", "driver", "true"
    String[] ends = value.text().split("-");
    boolean fits =
        switch (ends[0]) {
          case "true", "false" -> true;
          case "driver" -> !isBounded;
          default ->
              Long.parseLong(ends[0]) >= range.min()
                  && Long.parseLong(ends[ends.length - 1]) <= range.max();
        };
    return grant.settingKeys().contains(value.key()) && fits;
  }

  private <T> List<T> some(List<T> all, int atLeast) {
    List<T> shuffled = new ArrayList<>(all);
    Collections.shuffle(shuffled, random);
    return shuffled.subList(0, atLeast + random.nextInt(all.size() + 1 - atLeast));
  }

  private Grant grant() {
    Set<ApiGroup> groups = EnumSet.noneOf(ApiGroup.class);
    groups.addAll(some(List.of(ApiGroup.values()), 1));
    List<GpuSelector> gpus =
        List.of(
            new GpuSelector.Index(0),
            new GpuSelector.Index(3),
            new GpuSelector.Uuid("gpu-00000001"),
            new GpuSelector.Uuid("GPU-00000002"));
    Map<SettingKey, Grant.Range> bounds = new EnumMap<>(SettingKey.class);
    for (SettingKey key : some(List.of(SettingKey.values()), 0)) {
      long min = random.nextInt(5);
      bounds.put(key, new Grant.Range(min, min + random.nextInt(5)));
    }
    return new Grant(
        some(WHO, 1).stream().map(Who::parse).toList(),
        groups,
        false,
        random.nextBoolean() ? List.of() : some(gpus, 1),
        new HashSet<>(some(List.of(SettingKey.values()), 1)),
        bounds);
  }

  private Wish wish() {
    ApiGroup group = ApiGroup.values()[random.nextInt(3)];
    GpuInfo gpu = GPUS.get(random.nextInt(GPUS.size()));
    long low = random.nextInt(10);
    Optional<ClockRange> clocks =
        random.nextInt(4) == 0
            ? Optional.empty()
            : Optional.of(new ClockRange(low, low + random.nextInt(4)));
    List<SettingValue> values =
        List.of(
            new SettingValue.PowerLimit(low),
            new SettingValue.ModulePowerLimit(low),
            new SettingValue.GpuClocks(clocks),
            new SettingValue.MemClocks(clocks),
            new SettingValue.PersistenceMode(random.nextBoolean()));
    return group == ApiGroup.GPU_CONTROL
        ? new Wish(group, gpu, Optional.of(values.get(random.nextInt(5))))
        : new Wish(group, gpu, Optional.empty());
  }

  private static Optional<String> refusal(Rights rights, Wish wish) {
    return rights
        .refusalOf(wish.group)
        .or(() -> rights.refusalOf(wish.group, List.of(wish.gpu)))
        .or(() -> wish.value.flatMap(value -> rights.refusalOf(wish.gpu, value)));
  }

  @Test
  void allowsWhatTheModelAllows() {
    int allowed = 0;
    int rounds = 20_000;
    for (int round = 0; round < rounds; round++) {
      List<Grant> grants = new ArrayList<>();
      for (int i = random.nextInt(4); i > 0; i--) {
        grants.add(grant());
      }
      int uid = List.of(0, 1000, -2, 5).get(random.nextInt(4));
      Set<Integer> gids = new HashSet<>(some(List.of(7, 1000, 0), 0));
      Optional<String> subject =
          Optional.of(List.of("alice", "0", "bob").get(random.nextInt(3)))
              .filter(name -> random.nextBoolean());
      boolean isLocal = random.nextBoolean();
      Optional<String> certificate =
          Optional.of(List.of("CN=alice", "CN=alice,O=acme").get(random.nextInt(2)))
              .filter(name -> !isLocal && random.nextBoolean());
      Caller caller =
          new Caller(
              isLocal ? OptionalInt.of(uid) : OptionalInt.empty(),
              isLocal ? gids : Set.of(),
              subject,
              certificate.map(X500Principal::new));
      Set<String> names = new HashSet<>();
      if (isLocal) {
        names.add("uid:" + Integer.toUnsignedString(uid));
        gids.forEach(gid -> names.add("gid:" + gid));
      }
      subject.ifPresent(name -> names.add("token:" + name));
      certificate.ifPresent(name -> names.add("cert:" + name));
      Wish wish = wish();
      boolean expected = model(grants, names, wish);
      Optional<String> refusal = refusal(new Policy(grants).of(caller, "it"), wish);
      String what = "seed " + SEED + ": " + names + " wants " + wish + " by " + grants;
      assertEquals(expected, refusal.isEmpty(), what + ": " + refusal);
      Collections.shuffle(grants, random);
      assertEquals(
          expected, refusal(new Policy(grants).of(caller, "it"), wish).isEmpty(), "reordered");
      allowed += expected ? 1 : 0;
    }
    assertTrue(allowed > rounds / 20 && allowed < rounds * 19 / 20, "one-sided: " + allowed);
  }
}
