defmodule TenonHarness.TlsTest do
  use TenonHarness.NodeCase, async: true

  @moduletag :tenon_only
  @moduletag :own_carrier
  @no_name_check ", {server_name_indication, disable}"

  setup_all do
    dir =
      Path.join(
        System.tmp_dir!(),
        "tenon-tls-#{System.unique_integer([:positive])}-#{System.pid()}"
      )

    script = Path.expand("../../../test/make-certs", __DIR__)
    {_, 0} = System.cmd("sh", [script, dir, host()], stderr_to_stdout: true)
    on_exit(fn -> File.rm_rf!(dir) end)
    {:ok, dir: dir}
  end

  defp host, do: node() |> to_string() |> String.split("@") |> List.last()

  # The options of both sides: that certificate, and `more` (Erlang text); `client` for that side.
  defp optfile(dir, cert, more \\ "", client \\ "") do
    file = Path.join(dir, "#{System.unique_integer([:positive])}.conf")

    both =
      ~s({certfile, "#{dir}/#{cert}"}, {cacertfile, "#{dir}/ca.pem"}, {verify, verify_peer}#{more})

    File.write!(file, """
    %% as a release has it
    [{server, [{fail_if_no_peer_cert, true}, #{both}]},
     {client, [#{both}#{client}]}].
    """)

    file
  end

  defp tls_tenon(file, opts \\ []) do
    start_tenon(
      Keyword.merge(
        [args: ["--proto-dist", "inet_tls", "--ssl-dist-optfile", file, "--log-level", "debug"]],
        opts
      )
    )
  end

  defp tls_beam(file) do
    start_beam(erl: ["-proto_dist", "inet_tls", "-ssl_dist_optfile", file])
  end

  defp ping(beam, name), do: on(beam, name: name, do: Node.ping(name))

  defp tenon_ping(name, args) do
    System.cmd(
      TenonNode.executable(),
      ["ping", to_string(name), "--cookie", Cluster.cookie() | args],
      stderr_to_stdout: true
    )
  end

  for version <- ["tlsv1.2", "tlsv1.3"] do
    test "calls in both directions over #{version}", %{dir: dir} do
      file = optfile(dir, "good.pem", ", {versions, ['#{unquote(version)}']}")
      tenon = tls_tenon(file)
      beam = tls_beam(file)
      assert ping(beam, tenon.name) == :pong
      big = :binary.copy("0123456789", 200_000)
      assert on(beam, name: tenon.name, big: big, do: GenServer.call({:echo, name}, big)) == big
      expected = unquote(String.replace(version, "tlsv", "TLSv"))
      assert TenonNode.await_event(tenon, "secured", version: expected)

      {answer, 0} =
        tenon_ping(beam.name, ["--proto-dist", "inet_tls", "--ssl-dist-optfile", file])

      assert answer == "pong\n"
    end
  end

  test "single options do as well as a file", %{dir: dir} do
    options =
      for side <- ["server", "client"],
          {name, value} <- [certfile: "#{dir}/good.pem", cacertfile: "#{dir}/ca.pem"],
          word <- ["--ssl-dist-opt", "#{side}_#{name}", value],
          do: word

    tenon = start_tenon(args: ["--proto-dist", "inet_tls" | options])
    beam = tls_beam(optfile(dir, "good.pem"))
    assert ping(beam, tenon.name) == :pong
  end

  for {cert, reason} <- [
        {"expired.pem", "certificate has expired"},
        {"self_signed.pem", "self-signed certificate"},
        {"wrong_ca.pem", "unable to get local issuer certificate"}
      ] do
    test "a peer with #{cert} is refused, and told", %{dir: dir} do
      tenon = tls_tenon(optfile(dir, "good.pem"))
      beam = tls_beam(optfile(dir, unquote(cert), "", @no_name_check))
      assert ping(beam, tenon.name) == :pang
      refusal = TenonNode.await_event(tenon, "handshake_refused", error: "TLS")
      assert refusal["reason"] =~ unquote(reason)

      {said, 1} =
        tenon_ping(beam.name, [
          "--proto-dist",
          "inet_tls",
          "--ssl-dist-optfile",
          optfile(dir, "good.pem")
        ])

      assert said =~ unquote(reason)
    end
  end

  test "a node that calls another checks its name", %{dir: dir} do
    beam = tls_beam(optfile(dir, "wrong_host.pem", "", @no_name_check))
    tls = ["--proto-dist", "inet_tls", "--ssl-dist-optfile"]
    {said, 1} = tenon_ping(beam.name, tls ++ [optfile(dir, "good.pem")])
    assert said =~ "hostname mismatch"
    lenient = optfile(dir, "good.pem", "", @no_name_check)
    assert {"pong\n", 0} = tenon_ping(beam.name, tls ++ [lenient])
  end

  test "a revoked certificate is refused", %{dir: dir} do
    crl =
      ~s(, {crl_check, peer}, {crl_cache, {ssl_crl_hash_dir, {internal, [{dir, "#{dir}/crls"}]}}})

    tenon = tls_tenon(optfile(dir, "good.pem", crl))
    beam = tls_beam(optfile(dir, "revoked.pem"))
    assert ping(beam, tenon.name) == :pang
    refusal = TenonNode.await_event(tenon, "handshake_refused", error: "TLS")
    assert refusal["reason"] =~ "certificate revoked"
    good = tls_beam(optfile(dir, "good.pem"))
    assert ping(good, tenon.name) == :pong
  end

  test "a BEAM node refuses a bad certificate of this node, which says so", %{dir: dir} do
    tenon = tls_tenon(optfile(dir, "expired.pem"))
    beam = tls_beam(optfile(dir, "good.pem"))
    assert ping(beam, tenon.name) == :pang
    refusal = TenonNode.await_event(tenon, "handshake_refused", error: "TLS")
    assert refusal["reason"] =~ "the peer refuses: "
    assert refusal["reason"] =~ "certificate expired"
  end

  test "plain and TLS nodes tell each other apart", %{dir: dir} do
    file = optfile(dir, "good.pem")
    secure = tls_tenon(file)
    plain = start_tenon()
    plain_beam = start_beam()
    secure_beam = tls_beam(file)
    assert ping(plain_beam, secure.name) == :pang
    refusal = TenonNode.await_event(secure, "handshake_refused", error: "TLS")
    assert refusal["reason"] =~ "is it a node without?"
    assert ping(secure_beam, plain.name) == :pang
    refusal = TenonNode.await_event(plain, "handshake_refused", error: "TLS")
    assert refusal["reason"] =~ "it speaks TLS"
    {said, 1} = tenon_ping(plain.name, ["--proto-dist", "inet_tls", "--ssl-dist-optfile", file])
    assert said =~ "alert protocol version"
  end

  test "certificates are read again at SIGHUP, and connections stay", %{dir: dir} do
    cert = "changing-#{System.unique_integer([:positive])}.pem"
    File.cp!("#{dir}/good.pem", "#{dir}/#{cert}")
    tenon = tls_tenon(optfile(dir, cert))
    beam = tls_beam(optfile(dir, "good.pem"))
    assert ping(beam, tenon.name) == :pong

    File.cp!("#{dir}/expired.pem", "#{dir}/#{cert}")
    Program.signal(tenon.program, :HUP)
    assert TenonNode.await_event(tenon, "tls_reloaded")
    assert on(beam, name: tenon.name, do: GenServer.call({:echo, name}, 1)) == 1
    late = tls_beam(optfile(dir, "good.pem"))
    assert ping(late, tenon.name) == :pang

    File.write!("#{dir}/#{cert}", "no certificate")
    Program.signal(tenon.program, :HUP)
    failure = TenonNode.await_event(tenon, "tls_reload_failed")
    assert failure["reason"] =~ "TLS option certfile"
    assert on(beam, name: tenon.name, do: GenServer.call({:echo, name}, 2)) == 2
  end

  # A server of OTP 29 resumes no session of TLS 1.2.
  if String.to_integer(System.otp_release()) < 29 do
    test "a session is resumed", %{dir: dir} do
      file = optfile(dir, "good.pem", ", {versions, ['tlsv1.2']}")
      beam = tls_beam(file)
      tenon = tls_tenon(file, connect: [beam.name])
      assert TenonNode.await_event(tenon, "peer_up", node: beam.name)
      assert on(beam, name: tenon.name, do: Node.disconnect(name)) == true
      assert TenonNode.await_event(tenon, "secured", resumed: "true")
      assert on(beam, name: tenon.name, do: GenServer.call({:echo, name}, 3)) == 3
    end
  end

  test "an option without a meaning here is refused by its name", %{dir: dir} do
    file = Path.join(dir, "meaningless.conf")
    File.write!(file, "[{server, [{hibernate_after, 1}]}].")

    {said, 1} =
      System.cmd(
        TenonNode.executable(),
        ["run", "--sname", "none", "--cookie", "c", "--proto-dist", "inet_tls"] ++
          ["--ssl-dist-optfile", file],
        stderr_to_stdout: true
      )

    assert said =~ "TLS option hibernate_after of the server: it has no meaning here"
  end

  test "options of TLS are refused where connections would be plain", %{dir: dir} do
    {said, 1} =
      System.cmd(
        TenonNode.executable(),
        ["run", "--sname", "none", "--cookie", "c", "--ssl-dist-optfile"] ++
          [optfile(dir, "good.pem")],
        stderr_to_stdout: true
      )

    assert said =~ "expected proto_dist inet_tls or inet6_tls with options of TLS, got inet_tcp"
  end
end
