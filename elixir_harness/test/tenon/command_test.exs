defmodule TenonHarness.CommandTest do
  use TenonHarness.NodeCase, async: true
  alias TenonHarness.Services

  @moduletag :tenon_only

  setup_all do
    peer = start_beam(x3m: List.last(Services.generations()))
    :ok = BeamNode.call(peer, TenonHarness.BeamRouter, :register_services, [])
    tenon = start_tenon(connect: [peer.name])
    Services.await_providers(peer, :c_echo, [tenon.name])
    {:ok, peer: to_string(peer.name), tenon: to_string(tenon.name), beam: peer}
  end

  describe "tenon ping" do
    test "says pong and exits 0, or pang and exits 1", %{peer: peer, tenon: tenon} do
      assert {"pong\n", 0} = tenon(["ping", peer])
      assert {"pong\n", 0} = tenon(["ping", tenon])
      assert {output, 1} = tenon(["ping", to_string(Cluster.unique_node("nowhere"))])
      assert output =~ "pang"
    end

    test "with a wrong cookie exits 1", %{peer: peer} do
      assert {_output, 1} = TenonNode.command(["ping", peer, "--cookie", "not_the_cookie"])
    end

    test "takes the cookie from RELEASE_COOKIE", %{peer: peer} do
      env = [{"RELEASE_COOKIE", Cluster.cookie()}]
      assert {"pong\n", 0} = TenonNode.command(["ping", peer], env: env)
    end
  end

  describe "a standard descriptor that is closed" do
    test "is opened on /dev/null", %{tenon: tenon} do
      ping = ["ping", tenon, "--cookie", Cluster.cookie()]

      for {redirection, said} <- [{"0<&-", "pong\n"}, {"1>&-", ""}, {"2>&-", "pong\n"}] do
        assert {^said, 0} = TenonNode.redirected_command(ping, redirection)
        assert {_, 0} = TenonNode.redirected_command(["--version"], redirection)
      end
    end
  end

  describe "tenon call" do
    test "prints the result in Elixir syntax", %{peer: peer, tenon: tenon} do
      assert {"6\n", 0} = tenon(["call", tenon, "demo", "sum", "[[1, 2, 3]]"])
      assert {output, 0} = tenon(["call", peer, "Elixir.Enum", "map", "[[1, 2], &:erlang.-/1]"])
      assert output == "[-1, -2]\n"

      assert {output, 0} = tenon(["call", peer, "Enum", "into", "[[a: 1, b: \"two\"], %{}]"])
      assert output in ["%{a: 1, b: \"two\"}\n", "%{b: \"two\", a: 1}\n"]
    end

    test "prints terms so that Elixir reads them back", %{tenon: tenon} do
      for term <- [
            :atom,
            :"an odd one",
            nil,
            Enum,
            -12,
            :erlang.bsl(1, 100),
            1.5,
            1.0e-10,
            "grüße \"quoted\" \n",
            <<0, 255>>,
            <<5::3>>,
            ~c"charlist",
            [],
            [1, 2 | 3],
            [a: 1, "b c": 2],
            {},
            {:ok, [%{}]},
            %{"k" => 1},
            %{k: :v},
            %URI{host: "h"},
            &Enum.map/2
          ] do
        assert {output, 0} = tenon(["call", tenon, "demo", "echo", "[#{inspect(term)}]"])
        assert {^term, _} = Code.eval_string(output)
      end
    end

    test "prints what inspect prints", %{tenon: tenon} do
      for text <- ["[1, :two, \"three\", 4.0, nil]", "%{\"a\" => {1, []}}", "{:error, \"é\"}"] do
        assert {output, 0} = tenon(["call", tenon, "demo", "echo", "[#{text}]"])
        assert output == text <> "\n"
      end
    end

    test "tells a failed call and exits 1", %{peer: peer, tenon: tenon} do
      for {node, args, said} <- [
            {tenon, ["demo", "nothing", "[]"], "undef"},
            {tenon, ["demo", "raise", "[:why]"], "why"},
            {peer, ["Elixir.Nothing", "at_all", "[]"], "undef"},
            {to_string(Cluster.unique_node("nowhere")), ["demo", "echo", "[1]"], "nowhere"}
          ] do
        assert {output, 1} = tenon(["call", node | args])
        assert output =~ said
      end
    end

    test "refuses arguments that are no list, with status 2", %{tenon: tenon} do
      for text <- ["1", "[1", "{1}", "not elixir", ""] do
        assert {output, 2} = tenon(["call", tenon, "demo", "echo", text])
        assert output =~ "tenon"
      end
    end
  end

  describe "tenon dispatch" do
    test "prints the response", %{peer: peer, tenon: tenon} do
      args = ["dispatch", "e_echo", "%{\"n\" => 1}", "--connect", peer]
      assert {"{:ok, %{\"n\" => 1}}\n", 0} = tenon(args)
      args = ["dispatch", "c_sum", "%{\"numbers\" => [1, 2]}", "--connect", tenon]
      assert {"{:ok, 3}\n", 0} = tenon(args)
    end

    test "exits 1 when the service cannot be had", %{peer: peer} do
      assert {output, 1} = tenon(["dispatch", "e_nowhere", "nil", "--connect", peer])
      assert output =~ "service_unavailable"
    end
  end

  describe "tenon services" do
    test "lists them with their nodes", %{peer: peer, tenon: tenon} do
      assert {output, 0} = tenon(["services", "--connect", peer])
      assert output =~ ~r/e_echo.*#{Regex.escape(peer)}/
      refute output =~ "e_private"
      assert {output, 0} = tenon(["services", "--connect", tenon])
      assert output =~ ~r/c_digest.*#{Regex.escape(tenon)}/
      refute output =~ "c_private"
    end

    test "adds what a C node has counted, and nothing for a BEAM node", %{
      peer: peer,
      tenon: tenon,
      beam: beam
    } do
      assert Services.outcome(beam, :c_digest, %{"data" => "x"}) |> elem(0) == :ok

      services = fn ->
        {output, 0} = tenon(["services", "--metrics", "--connect", tenon, "--connect", peer])
        String.split(output, "\n")
      end

      # A reply may be here before it is counted.
      Wait.until("the reply to be counted", fn ->
        Enum.find(services.(), &(&1 =~ ~r/^c_digest .* replied=[1-9]/))
      end)

      lines = services.()

      assert Enum.find(lines, &String.starts_with?(&1, "c_digest ")) =~
               ~r/^c_digest #{Regex.escape(tenon)} Demo.Router calls=\d+ refused=0 forwarded=0 failed=0 replied=\d+ mean_us=\d+ p99_us=\d+ max_us=\d+$/

      assert "e_echo #{peer} TenonHarness.BeamRouter" in lines
    end
  end

  describe "tenon names" do
    @tag :epmd
    test "lists what epmd knows", %{tenon: tenon} do
      assert {output, 0} = TenonNode.command(["names"])
      assert output =~ tenon |> String.split("@") |> hd()
    end

    test "exits 1 when there is no epmd" do
      # Bound, so that nobody else has it, and not listened at.
      {:ok, socket} = :socket.open(:inet, :stream, :tcp)
      :ok = bind_to_any_port(socket)
      {:ok, %{port: port}} = :socket.sockname(socket)
      env = [{"ERL_EPMD_PORT", to_string(port)}]
      assert {output, 1} = TenonNode.command(["names"], env: env)
      assert output =~ "epmd"
      :socket.close(socket)
    end
  end

  describe "help and mistakes" do
    test "--help is everywhere and exits 0" do
      assert {output, 0} = TenonNode.command(["--help"])
      for command <- ~w(run ping call dispatch services names), do: assert(output =~ command)

      for command <- ~w(run ping call dispatch services names) do
        assert {output, 0} = TenonNode.command([command, "--help"])
        assert output =~ command
      end
    end

    test "are told in one line, with status 2" do
      for args <- [
            [],
            ["frobnicate"],
            ["run"],
            ["run", "--no-such-option"],
            ["run", "--sname"],
            ["ping"],
            ["call", "n@h"]
          ] do
        assert {output, 2} = TenonNode.command(args)
        assert output =~ "tenon"
      end
    end

    @tag :epmd
    test "a name that another node has is refused with one line", %{tenon: tenon} do
      assert {output, 1} = TenonNode.command(TenonNode.run_args(tenon, load: false))
      assert output =~ hd(String.split(tenon, "@"))
    end

    test "that only show at the start exit 1 with one line" do
      args = ["--load", "/no/such/file.so"]

      assert {output, 1} =
               TenonNode.command(TenonNode.run_args(unique(), load: false, args: args))

      assert output =~ "/no/such/file.so"
      cookie = ["--cookie", Cluster.cookie()]

      for name <- ["a b", "a@b@c", "", "@host", "ä@"] do
        assert {output, status} = TenonNode.command(["run", "--sname", name | cookie])
        assert status in [1, 2], inspect({name, output, status})
        assert output =~ "name"
      end
    end

    test "a cookie file that others can read is refused" do
      home = Path.join(System.tmp_dir!(), Cluster.unique("tenon_home"))
      File.mkdir_p!(home)
      on_exit(fn -> File.rm_rf!(home) end)
      file = Path.join(home, ".erlang.cookie")
      File.write!(file, Cluster.cookie())
      env = [{"HOME", home}, {"RELEASE_COOKIE", nil}]

      File.chmod!(file, 0o644)
      run = TenonNode.run_args(unique(), load: false, cookie: false)
      assert {output, 1} = TenonNode.command(run, env: env)
      assert output =~ ".erlang.cookie"

      File.chmod!(file, 0o400)

      {:ok, program} =
        Program.start(TenonNode.executable(),
          args: run,
          env: [{"HOME", home}, {"RELEASE_COOKIE", false}]
        )

      assert Program.await(program, "ready", @timeout, &Log.match(&1, :ready))
      Program.stop(program)
    end
  end

  describe "tenon run" do
    test "stops on SIGTERM and SIGINT, in order, with status 0" do
      for signal <- [:TERM, :INT] do
        peer = start_beam(x3m: hd(Services.generations()))
        tenon = start_tenon(connect: [peer.name])
        Services.await_providers(peer, :c_echo, [tenon.name])
        Program.signal(tenon.program, signal)
        assert Program.await_exit(tenon.program) == 0
        TenonNode.await_event(tenon, :stopping)
        TenonNode.await_event(tenon, :stopped)
        Services.await_providers(peer, :c_echo, [])
      end
    end

    test "does not wait for handlers that are busy when it stops" do
      tenon = start_connected_tenon()
      for _ <- 1..20, do: Node.spawn(tenon.name, :demo, :sleep, [10 * @timeout])
      assert Wait.call({:echo, tenon.name}, :spawned) == :spawned
      Program.signal(tenon.program, :TERM)
      assert Program.await_exit(tenon.program) == 0
    end

    test "does not say of a handler that the stop cut short that it is done" do
      tenon = start_connected_tenon()

      for _ <- 1..20, do: :erlang.spawn_monitor(tenon.name, :demo, :sleep, [10 * @timeout])
      assert Wait.call({:echo, tenon.name}, :spawned) == :spawned
      Program.signal(tenon.program, :TERM)

      for _ <- 1..20 do
        assert_receive {:DOWN, _ref, :process, _pid, reason}
        assert reason in [:shutdown, :noconnection]
      end
    end

    test "writes nothing but key=value lines" do
      tenon = start_connected_tenon()
      Program.signal(tenon.program, :TERM)
      assert Program.await_exit(tenon.program) == 0

      for line <- Program.lines(tenon.program) do
        pairs = Log.parse(line)
        assert %{"time" => _, "level" => _, "event" => _} = pairs, "no event line: #{line}"
      end
    end
  end

  # Standard output; and of a command that fails both, because what it says goes to standard error.
  defp tenon(args) do
    args = args ++ ["--cookie", Cluster.cookie()] ++ patience(args)

    case TenonNode.command_output(args) do
      {output, 0} -> {output, 0}
      {_output, _status} -> TenonNode.command(args)
    end
  end

  defp patience([command | _]) when command in ["ping", "call", "dispatch", "services"],
    do: ["--timeout", to_string(@timeout)]

  defp patience(_args), do: []

  defp unique, do: to_string(Cluster.unique_node("c"))

  # Of OTP 23 with the port, of later releases without.
  defp bind_to_any_port(socket) do
    case :socket.bind(socket, %{family: :inet, addr: {127, 0, 0, 1}, port: 0}) do
      {:ok, _port} -> :ok
      :ok -> :ok
    end
  end
end
