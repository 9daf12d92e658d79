defmodule TenonHarness.RawPeer do
  @moduledoc """
  A distribution peer made by hand, which can say what no BEAM node says.

  It shakes hands as version 6 asks; what it sends after that is up to the test.
  """

  alias TenonHarness.{Cluster, Wait}

  defstruct [:socket, :name, :creation]

  # What every release from OTP 23 on asks for, and nothing that changes the framing.
  @flags 0xD075F5FBD
  @timeout_ms Wait.deadline_ms()

  def flags, do: @flags

  @doc "Connects to a port of this machine and shakes hands; options `:name`, `:flags`, `:cookie`."
  def connect(port, opts \\ []) do
    {:ok, socket} = open(port)
    name = opts[:name] || Cluster.unique_node("raw")
    raw = %__MODULE__{socket: socket, name: name, creation: creation()}
    send_name(raw, Keyword.get(opts, :flags, @flags))

    case status(raw) do
      "ok" -> finish(raw, opts)
      "ok_simultaneous" -> finish(raw, opts)
      "alive" -> send_packet(raw, "strue") && finish(raw, opts)
      other -> {:refused, other}
    end
  end

  @doc "A bare connection, without any handshake."
  def open(port) do
    :gen_tcp.connect({127, 0, 0, 1}, port, [:binary, active: false, packet: 2, nodelay: true])
  end

  def send_name(raw, flags) do
    name = to_string(raw.name)
    send_packet(raw, <<"N", flags::64, raw.creation::32, byte_size(name)::16, name::binary>>)
  end

  @doc "The text of the status packet, or the reason why none came."
  def status(raw) do
    case :gen_tcp.recv(raw.socket, 0, @timeout_ms) do
      {:ok, <<"s", status::binary>>} -> status
      {:error, reason} -> reason
    end
  end

  @doc "From the challenge on."
  def finish(raw, opts \\ []) do
    cookie = opts[:cookie] || Cluster.cookie()

    with {:ok, <<"N", _flags::64, challenge::32, _creation::32, _name::binary>>} <-
           :gen_tcp.recv(raw.socket, 0, @timeout_ms),
         :ok <- send_packet(raw, <<"r", 0::32, digest(cookie, challenge)::binary>>),
         {:ok, <<"a", digest::binary-16, _::binary>>} <- :gen_tcp.recv(raw.socket, 0, @timeout_ms) do
      ^digest = digest(cookie, 0)
      :ok = :inet.setopts(raw.socket, packet: 4)
      {:ok, raw}
    else
      {:error, reason} -> {:refused, reason}
    end
  end

  @doc "Accepts one connection as the node `name`, up to and with the first packet, the sender's name."
  def accept_name(listener) do
    {:ok, socket} = :gen_tcp.accept(listener, @timeout_ms)

    {:ok, <<"N", flags::64, _creation::32, len::16, name::binary-size(len), _::binary>>} =
      :gen_tcp.recv(socket, 0, @timeout_ms)

    {socket, String.to_atom(name), flags}
  end

  @doc "Goes on as the accepting side: status, challenge, ack."
  def welcome(socket, name, opts \\ []) do
    cookie = opts[:cookie] || Cluster.cookie()
    raw = %__MODULE__{socket: socket, name: name, creation: creation()}
    text = to_string(name)
    flags = Keyword.get(opts, :flags, @flags)
    :ok = send_packet(raw, ["s", Keyword.get(opts, :status, "ok")])

    :ok =
      send_packet(
        raw,
        <<"N", flags::64, 7::32, raw.creation::32, byte_size(text)::16, text::binary>>
      )

    case :gen_tcp.recv(socket, 0, @timeout_ms) do
      {:ok, <<"r", challenge::32, _digest::binary-16>>} ->
        :ok = send_packet(raw, ["a", digest(cookie, challenge)])
        :ok = :inet.setopts(socket, packet: 4)
        {:ok, raw}

      {:error, reason} ->
        {:refused, reason}
    end
  end

  @doc "Sends bytes as one packet of the present framing (2-byte lengths, 4-byte ones once connected)."
  def send_packet(raw, bytes), do: :gen_tcp.send(raw.socket, bytes)

  @doc "Sends bytes without any framing."
  def send_bytes(raw, bytes) do
    :ok = :inet.setopts(raw.socket, packet: :raw)
    :gen_tcp.send(raw.socket, bytes)
  end

  @doc "Sends a control message, with a message term or without."
  def control(raw, control), do: send_packet(raw, [112, :erlang.term_to_binary(control)])

  def control(raw, control, message),
    do: send_packet(raw, [112, :erlang.term_to_binary(control), :erlang.term_to_binary(message)])

  @doc "Sends `message` to a registered name."
  def send_to(raw, name, message), do: control(raw, {6, pid(raw, 1), :"", name}, message)

  @doc "A pid of this peer."
  def pid(raw, id) do
    name = to_string(raw.name)

    :erlang.binary_to_term(
      <<131, 88, 119, byte_size(name), name::binary, id::32, 0::32, raw.creation::32>>
    )
  end

  @doc "A reference of this peer."
  def ref(raw, id) do
    name = to_string(raw.name)

    :erlang.binary_to_term(
      <<131, 90, 3::16, 119, byte_size(name), name::binary, raw.creation::32, id::32, 0::32,
        0::32>>
    )
  end

  @doc """
  The first true result of `fun` for a `{control, message}` that comes; an error when none comes.

  Ticks are answered.
  """
  def receive_control(raw, fun) do
    case try_receive_control(raw, fun) do
      {:error, reason} -> raise "what the test waits for did not come: #{reason}"
      result -> result
    end
  end

  @doc "The same, with `{:error, reason}` when the connection ends or nothing comes."
  def try_receive_control(raw, fun) do
    case :gen_tcp.recv(raw.socket, 0, @timeout_ms) do
      {:ok, ""} ->
        send_packet(raw, "")
        try_receive_control(raw, fun)

      {:ok, <<112, terms::binary>>} ->
        {control, used} = :erlang.binary_to_term(terms, [:used])
        rest = binary_part(terms, used, byte_size(terms) - used)
        message = if rest == "", do: nil, else: :erlang.binary_to_term(rest)
        fun.({control, message}) || try_receive_control(raw, fun)

      {:error, reason} ->
        {:error, reason}
    end
  end

  @doc "Waits until the other side has closed the connection."
  def closed?(raw, timeout_ms \\ @timeout_ms) do
    case :gen_tcp.recv(raw.socket, 0, timeout_ms) do
      {:ok, _packet} -> closed?(raw, timeout_ms)
      {:error, :timeout} -> false
      {:error, _closed} -> true
    end
  end

  def close(raw), do: :gen_tcp.close(raw.socket)

  defp digest(cookie, challenge), do: :crypto.hash(:md5, [cookie, to_string(challenge)])

  defp creation, do: :rand.uniform(0xFFFFFF) + 3
end
