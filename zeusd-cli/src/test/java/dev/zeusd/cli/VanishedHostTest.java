package dev.zeusd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * A client's host that vanishes without a word, as by a power cut: in a network of its own, whose
 * route to it is taken away.
 */
@Timeout(120)
class VanishedHostTest {
  private static final String SCRIPT =
      """
      import http.client, json, subprocess, sys, time

      def ip(*words):
          subprocess.run(["ip", *words], check=True)

      ip("link", "set", "lo", "up")
      for host in "10.9.9.1", "10.9.9.2":
          ip("address", "add", host + "/32", "dev", "lo")
      daemon = subprocess.Popen(sys.argv[1:])
      try:
          def connect(host):
              deadline = time.monotonic() + 60
              while True:
                  try:
                      connection = http.client.HTTPConnection("10.9.9.1", 4938, 20, (host, 0))
                      connection.connect()
                      return connection
                  except ConnectionRefusedError:
                      assert time.monotonic() < deadline, "it does not listen"
                      time.sleep(0.1)
          def ask(method, target, **headers):
              connection.request(method, target, headers=headers)
              return json.loads(connection.getresponse().read() or "null")
          def limit():
              return ask("GET", "/gpu/get_power_limit?gpu_ids=0")["0"]["power_limit_mw"]
          connection = connect("10.9.9.1")
          before = limit()
          lease = ask("POST", "/lease?gpu_ids=0&keys=power_limit&ttl_s=2")
          there = connect("10.9.9.2")
          there.request("GET", "/lease/hold?lease_id=" + lease["lease_id"])
          # Kept: with it, the connection would be closed.
          held = there.getresponse()
          assert b"held" in held.read1(300)
          ask("POST", "/gpu/set_power_limit?gpu_ids=0&block=true&power_limit_mw=300000",
              **{"Zeusd-Lease": f"{lease['lease_id']}:{lease['epoch']}"})
          ip("route", "replace", "blackhole", "10.9.9.2/32", "table", "local")
          vanished = time.monotonic()
          time.sleep(3)
          assert limit() == 300000, "it was not kept"
          while limit() != before:
              assert time.monotonic() < vanished + 90, "it is kept for ever"
              time.sleep(0.05)
          print("after %.1f s" % (time.monotonic() - vanished))
      finally:
          daemon.kill()
          daemon.wait()
      """;

  @Test
  void itsLeaseEndsSoon(@TempDir Path dir) throws Exception {
    assumeTrue(ZeusdProcess.canUnshare("--net"), "networks are for root");
    assumeTrue(Files.exists(Path.of("/usr/sbin/ip")), "needs iproute2");
    try (ZeusdProcess test =
        ZeusdProcess.startShipped(
            dir,
            Map.of("SCRIPT", SCRIPT),
            "exec unshare --net python3 -c \"$SCRIPT\" \"$@\";",
            "serve",
            "--simulate",
            "--mode=tcp",
            "--tcp-bind-address=10.9.9.1:4938",
            "--state-dir=" + dir.resolve("kept"))) {
      assertEquals(0, test.awaitExit(), test::toString);
    }
  }
}
